//! The known word that was probably meant.

/// The nearest of `known`, if it is near enough to be a slip of the fingers.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a String>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, candidate)| *distance <= 1.max(candidate.len().div_ceil(3)))
        .map(|(_, candidate)| candidate.as_str())
}

/// Levenshtein's distance: insertions, deletions and substitutions. `_` and `-` count as one.
fn distance(a: &str, b: &str) -> usize {
    let plain = |word: &str| word.to_lowercase().replace('_', "-").chars().collect::<Vec<_>>();
    let (a, b) = (plain(a), plain(b));
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_word_and_a_stranger_finds_none() {
        let known = ["agent", "witness", "cool-down", "lease"].map(str::to_owned);
        assert_eq!(nearest("agnet", &known), Some("agent"));
        assert_eq!(nearest("cool_down", &known), Some("cool-down"));
        assert_eq!(nearest("witnes", &known), Some("witness"));
        assert_eq!(nearest("banana", &known), None);
    }
}
