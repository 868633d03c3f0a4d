//! The references in `docs/` say what the code says.

use crate::golden::{compare_file, mainstay};
use mainstay_agent::types::ProblemKind;
use std::path::{Path, PathBuf};

fn says(arguments: &[&str], file: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let output = mainstay(folder.path()).args(arguments).output().expect("it runs");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let docs = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference").join(file);
    compare_file(&docs, &text);
}

#[test]
fn the_reference_of_the_configuration_is_what_the_code_says() {
    says(&["config", "reference"], "configuration.md");
}

#[test]
fn the_reference_of_the_commands_is_what_the_code_says() {
    says(&["help-all"], "cli.md");
}

#[test]
fn the_reference_of_the_problems_is_what_the_code_says() {
    let mut text = "# Problems\n\n<!-- Written by the tests of `mainstay`. Do not edit. -->\n\nWhat \
                    `mainstay status` can show as wrong, and what [alerts](../guides/alerts.md) are \
                    told of. Kinds keep their names: `/metrics` has each as \
                    `mainstay_problem{kind=\"…\"}`.\n\n| kind | severity | what it means |\n|---|---|---|\n"
        .to_owned();
    for kind in ProblemKind::ALL {
        let (name, severity, about) = (kind.name(), kind.severity().name(), kind.about());
        text += &format!("| `{name}` | {severity} | {about} |\n");
    }
    let docs = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference");
    compare_file(&docs.join("problems.md"), &text);
}

/// Every code that the sources name has its page, and the page begins with the code.
#[test]
fn every_error_code_of_the_configuration_and_the_command_line_has_a_page() {
    let crate_folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    for source in ["src/config/problem.rs", "src/cli/failure.rs"] {
        let text = std::fs::read_to_string(crate_folder.join(source)).expect("a source");
        for code in text.split('"').filter(|word| word.starts_with("MS-") && word.len() == 10) {
            let page = crate_folder.join("../../docs/errors").join(format!("{code}.md"));
            assert!(begins_with(&page, code), "{} is missing", page.display());
        }
    }
}

fn begins_with(page: &Path, code: &str) -> bool {
    std::fs::read_to_string(page).is_ok_and(|text| text.starts_with(&format!("# {code}")))
}
