//! Plots of one line, out of Unicode's block characters.

const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Where nothing is known.
const UNKNOWN: char = '·';

/// Puts points of time and value into `width` columns over `0..until_s`. Each point stands for
/// `lasts_s` seconds; a column shows the largest of its values, and unknown when any of them is.
pub fn columns(
    points: impl Iterator<Item = (f64, Option<f64>)>,
    lasts_s: f64,
    until_s: f64,
    width: usize,
) -> Vec<Option<Option<f64>>> {
    let mut columns = vec![None; width];
    let column = |at_s: f64| (at_s / until_s.max(0.001) * width as f64).max(0.0) as usize;
    for (at_s, value) in points.filter(|(at_s, _)| *at_s >= 0.0) {
        let (first, end) = (column(at_s), column(at_s + lasts_s));
        for column in columns.iter_mut().take(end.max(first + 1)).skip(first) {
            *column = Some(match (*column, value) {
                (None, value) => value,
                (Some(Some(before)), Some(value)) => Some(f64::max(before, value)),
                _ => None,
            });
        }
    }
    columns
}

/// A blank where there is no point, a dot where the value is unknown.
pub fn line(columns: &[Option<Option<f64>>], largest: f64) -> String {
    let draw = |column: &Option<Option<f64>>| match column {
        None => ' ',
        Some(None) => UNKNOWN,
        Some(Some(value)) => block(value / largest.max(f64::MIN_POSITIVE)),
    };
    columns.iter().map(draw).collect()
}

fn block(share: f64) -> char {
    let step = (share.clamp(0.0, 1.0) * (BLOCKS.len() - 1) as f64).round() as usize;
    BLOCKS[step.min(BLOCKS.len() - 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_shows_its_largest_value_and_never_hides_that_something_is_unknown() {
        let points =
            [(0.0, Some(1.0)), (0.5, Some(8.0)), (1.0, None), (1.2, Some(3.0)), (3.0, Some(4.0))];
        let columns = columns(points.into_iter(), 0.5, 4.0, 4);
        assert_eq!(columns, [Some(Some(8.0)), Some(None), None, Some(Some(4.0))]);
        assert_eq!(line(&columns, 8.0), "█· ▅");
    }

    #[test]
    fn a_point_fills_the_columns_that_it_stands_for() {
        let points = [(0.0, Some(1.0)), (1.0, Some(8.0))];
        assert_eq!(line(&columns(points.into_iter(), 1.0, 2.0, 6), 8.0), "▂▂▂███");
    }
}
