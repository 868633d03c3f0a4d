//! A relative link in a page leads to a file or folder of the repository.

use crate::problem::Problem;
use crate::tree::{Tree, numbered};

pub fn check(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (page, text) in tree.pages() {
        for (line, content) in numbered(text) {
            for link in targets(content).filter(|link| !leads_somewhere(tree, page, link)) {
                problems.push(Problem::new(
                    page,
                    line,
                    format!("the link to {link} leads nowhere"),
                ));
            }
        }
    }
    problems
}

/// What stands in `](...)`.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

fn leads_somewhere(tree: &Tree, page: &str, link: &str) -> bool {
    let elsewhere = link.contains("://") || link.starts_with('#') || link.starts_with("mailto:");
    let file = link.split('#').next().unwrap_or(link);
    elsewhere || resolve(page, file).is_some_and(|path| tree.exists(&path))
}

/// The path from the root, or None when the link leads out of the repository.
fn resolve(page: &str, link: &str) -> Option<String> {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_link_must_lead_to_a_file() {
        let page = "[a](../README.md) [b](lab.md#here) [c](https://example.org)\n[d](gone.md)";
        let tree = Tree::from([("README.md", ""), ("docs/lab.md", ""), ("docs/x.md", page)]);
        assert_eq!(
            check(&tree),
            [Problem::new("docs/x.md", 2, "the link to gone.md leads nowhere")]
        );
    }

    #[test]
    fn a_link_must_not_leave_the_repository() {
        let tree = Tree::from([("README.md", "[a](../other/README.md)")]);
        assert_eq!(check(&tree).len(), 1);
    }
}
