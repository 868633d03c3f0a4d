//! Whether failover can work as it is asked for.

use super::coordinator::is_embedded;
use super::{entries, is_witness};
use crate::config::duration;
use crate::config::problem::{Problem, code};
use crate::config::reader::At;
use crate::config::typed::{Application, File};
use mainstay_core::Tick;
use mainstay_core::estate::FailoverMode;
use mainstay_core::lease::Lease;
use std::time::Duration;

/// Shorter, and a pause of a busy machine looks like death; longer, and nobody is helped.
const LEASE: std::ops::RangeInclusive<Duration> = Duration::from_secs(3)..=Duration::from_secs(300);

pub fn check(file: &File, application: &Application, problems: &mut Vec<Problem>) {
    lease(application, problems);
    objectives(application, problems);
    let mode = application.failover.as_ref();
    if let Some(mode) = mode.filter(|mode| mode.value == FailoverMode::Automatic) {
        automatic(file, mode, problems);
    }
}

fn lease(application: &Application, problems: &mut Vec<Problem>) {
    let Some(lease) = application.lease.as_ref() else { return };
    if !LEASE.contains(&lease.value) {
        let what = format!("a lease of {} is out of range", duration::write(lease.value));
        let advice = "write 3s to 5m: shorter takes a busy machine's pause for its death, longer \
                      keeps everyone waiting; 10s suits most";
        let problem = Problem::error(code::OUT_OF_RANGE, what, advice);
        problems.push(lease.blame(problem.label("not within 3s to 5m")));
    }
}

fn objectives(application: &Application, problems: &mut Vec<Problem>) {
    let Some(objectives) = application.objectives.as_ref().map(|at| &at.value) else { return };
    for objective in [&objectives.rto, &objectives.rpo].into_iter().flatten() {
        if objective.value.is_zero() {
            let what = format!("{} of nothing cannot be held", objective.place);
            let advice = "links run after the fact: write the smallest that you need, such as 1s";
            let problem = Problem::error(code::OUT_OF_RANGE, what, advice);
            problems.push(objective.blame(problem.label("zero")));
        }
    }
    out_of_reach(application, problems);
}

/// A failover without a confirmed fence waits for the whole lease first. Where there are means to
/// fence, whether they do is seen when they are needed.
fn out_of_reach(application: &Application, problems: &mut Vec<Problem>) {
    let rto = application.objectives.as_ref().and_then(|at| at.value.rto.as_ref());
    let (Some(rto), Some(lease)) = (rto, application.lease.as_ref()) else { return };
    let start = Tick::from_millis(0);
    let waits = Lease::new(lease.value).runs_out_at(start).since(start);
    let fenced = application.fencing.is_some();
    if waits >= rto.value && !rto.value.is_zero() && !fenced {
        let what = format!(
            "an RTO of {} cannot be held: a failover begins {} after the last sign of life",
            duration::write(rto.value),
            duration::write(waits)
        );
        let advice = "shorten `lease` or lengthen `rto`";
        let problem = Problem::warning(code::OBJECTIVE_OUT_OF_REACH, what, advice);
        problems.push(rto.blame(problem.label("shorter than the lease")));
    }
}

fn automatic(file: &File, mode: &At<FailoverMode>, problems: &mut Vec<Problem>) {
    let refuse = |what: String, advice: &str| {
        let problem = Problem::error(code::NO_AUTOMATION, what, advice);
        mode.blame(problem.label("not possible here"))
    };
    let witness = entries(&file.sites).any(|(name, _)| is_witness(file, name) == Some(true));
    if !witness {
        let what = "automatic failover needs a witness: without one, a cut between two sites looks \
                    like the loss of one of them";
        let advice = "add a site with `witness = true` at a third place and put the coordinator \
                      there, or write `failover = \"approve\"`";
        problems.push(refuse(what.to_owned(), advice));
        return;
    }
    let coordinator = file.coordinator.as_ref().map(|at| &at.value).filter(|it| is_embedded(it));
    let place = coordinator.and_then(|coordinator| coordinator.site.as_ref());
    if let Some(site) = place.filter(|site| is_witness(file, &site.value) == Some(false)) {
        let what = format!(
            "automatic failover needs the coordinator at a third site: at `{}` it would be lost \
             together with the data there",
            site.value
        );
        let advice = "write the witness as `site` under [coordinator], or `kind = \"etcd\"` with \
                      three members, or `failover = \"approve\"`";
        problems.push(refuse(what, advice));
    }
}
