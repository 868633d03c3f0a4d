//! Sites, and each application's home.

use super::{applications, data_sites, entries, is_witness, unknown_site};
use crate::config::problem::{Problem, code};
use crate::config::typed::File;

pub fn check(file: &File, problems: &mut Vec<Problem>) {
    enough(file, problems);
    homes(file, problems);
}

fn enough(file: &File, problems: &mut Vec<Problem>) {
    let count = data_sites(file).count();
    if let Some(sites) = file.sites.as_ref().filter(|_| count < 2) {
        let what = format!("{count} of the sites can hold data: there is nowhere to fail over to");
        let advice = "add a second [sites.<name>] that is not a witness";
        let problem = Problem::error(code::NO_SECOND_SITE, what, advice);
        problems.push(sites.blame(problem.label("needs two that hold data")));
    }
    if let Some(table) = file.applications.as_ref().filter(|table| table.value.is_empty()) {
        let advice = "add [applications.<name>]; `mainstay config reference` shows an example";
        let problem = Problem::error(code::MISSING_KEY, "there is no application", advice);
        problems.push(table.blame(problem.label("empty")));
    }
}

fn homes(file: &File, problems: &mut Vec<Problem>) {
    for home in applications(file).filter_map(|(_, application)| application.home.as_ref()) {
        problems.extend(unknown_site(file, &home.value).map(|problem| home.blame(problem)));
        if is_witness(file, &home.value) == Some(true) {
            let what = format!("the home `{}` is a witness: nothing can run there", home.value);
            let list: Vec<String> = entries(&file.sites)
                .filter(|(name, _)| is_witness(file, name) == Some(false))
                .map(|(name, _)| name.to_string())
                .collect();
            let advice = format!("write one of the sites that hold data: {}", list.join(", "));
            let problem = Problem::error(code::WITNESS_WITH_DATA, what, advice);
            problems.push(home.blame(problem.label("a witness")));
        }
    }
}
