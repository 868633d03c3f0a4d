//! The figures, computed from what clients and databases say. Durations are measured on
//! `CLOCK_MONOTONIC`, which all processes of this machine share.

use super::databases::CommitSpan;
use super::record::{Acknowledged, ClientRecord, Lost};
use crate::clients::log::Moment;
use std::collections::{BTreeMap, HashSet};
use uuid::Uuid;

/// Acknowledged transfers that are not among `present`, the oldest acknowledgement first.
pub fn lost(record: &ClientRecord, present: &HashSet<Uuid>) -> Vec<Lost> {
    let missing = record.acknowledged.iter().filter(|ack| !present.contains(&ack.id));
    let mut lost: Vec<Lost> =
        missing.map(|ack| Lost { id: ack.id, number: ack.number, at: ack.at }).collect();
    lost.sort_by_key(|lost| lost.at.mono_us);
    lost
}

/// Acknowledged transfers that are not at both sites: by number.
pub fn unaccounted(record: &ClientRecord, one: &HashSet<Uuid>, other: &HashSet<Uuid>) -> Vec<i64> {
    let missing = |ack: &&Acknowledged| !one.contains(&ack.id) || !other.contains(&ack.id);
    record.acknowledged.iter().filter(missing).map(|ack| ack.number).collect()
}

/// From the disaster to the first later acknowledgement of a transfer that the new site accepted;
/// it may have been active before.
pub fn rto_s(record: &ClientRecord, accepted_by_new: &HashSet<Uuid>, kill: Moment) -> Option<f64> {
    let by_new = record.acknowledged.iter().filter(|ack| accepted_by_new.contains(&ack.id));
    let times = by_new.map(|ack| ack.at.mono_us);
    let first = times.filter(|at| *at >= kill.mono_us).min()?;
    Some(seconds(first - kill.mono_us))
}

/// The span of lost work: from the oldest lost acknowledgement to the disaster, or to the newest
/// one, where the site outlived it.
pub fn rpo_s(lost: &[Lost], kill: Moment) -> f64 {
    let times = || lost.iter().map(|lost| lost.at.mono_us);
    let end = times().max().unwrap_or_default().max(kill.mono_us);
    times().min().map_or(0.0, |oldest| seconds(end - oldest))
}

/// The longest that any client waited for an acknowledgement, its retries included, of those waits
/// that touch the span.
pub fn longest_pause_s(record: &ClientRecord, from: Moment, to: Moment) -> Option<f64> {
    let touches =
        |ack: &&Acknowledged| ack.at.mono_us >= from.mono_us && ack.sent.mono_us <= to.mono_us;
    let waits = record.acknowledged.iter().filter(touches);
    waits.map(|ack| seconds(ack.at.mono_us - ack.sent.mono_us)).reduce(f64::max)
}

/// How long the old site's last commit lies after the new site's first: milliseconds, rounded up,
/// 0 when it lies before. The machine has one wall clock.
pub fn overlap_ms(old: CommitSpan, new: CommitSpan) -> i64 {
    match (old.last_us, new.first_us) {
        (Some(last), Some(first)) if last > first => (last - first + 999) / 1000,
        _ => 0,
    }
}

/// Acknowledgements in each whole second since `from`.
pub fn acknowledged_per_second(record: &ClientRecord, from: Moment) -> Vec<u32> {
    let mut counts: BTreeMap<usize, u32> = BTreeMap::new();
    for ack in &record.acknowledged {
        let second = (ack.at.mono_us - from.mono_us).max(0) / 1_000_000;
        *counts.entry(second as usize).or_default() += 1;
    }
    let length = counts.keys().last().map_or(0, |last| last + 1);
    (0..length).map(|second| counts.get(&second).copied().unwrap_or_default()).collect()
}

fn seconds(micros: i64) -> f64 {
    micros as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(mono_s: f64) -> Moment {
        let us = (mono_s * 1e6) as i64;
        Moment { wall_us: us, mono_us: us }
    }

    fn record(times: &[f64]) -> ClientRecord {
        let ack = |(number, time): (usize, &f64)| Acknowledged {
            id: Uuid::from_u128(number as u128),
            number: number as i64,
            gateway: "east".to_owned(),
            attempts: 1,
            sent: moment(*time - 0.25),
            at: moment(*time),
        };
        ClientRecord {
            acknowledged: times.iter().enumerate().map(ack).collect(),
            ..Default::default()
        }
    }

    fn ids(numbers: &[u128]) -> HashSet<Uuid> {
        numbers.iter().map(|n| Uuid::from_u128(*n)).collect()
    }

    #[test]
    fn what_is_acknowledged_and_absent_is_lost_and_the_oldest_of_it_measures_the_loss() {
        let record = record(&[1.0, 9.5, 9.25, 20.0]);
        let lost = lost(&record, &ids(&[0, 3]));
        assert_eq!(lost.iter().map(|l| l.number).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(rpo_s(&lost, moment(10.0)), 0.75);
        assert_eq!(rpo_s(&[], moment(10.0)), 0.0);
    }

    #[test]
    fn service_is_back_with_the_first_answer_of_the_new_site_and_not_with_a_late_one_of_the_old() {
        let record = record(&[9.0, 10.002, 22.0, 21.0]);
        assert_eq!(rto_s(&record, &ids(&[2, 3]), moment(10.0)), Some(11.0));
        assert_eq!(rto_s(&record, &ids(&[]), moment(10.0)), None);
        let before = ids(&[0, 2]);
        assert_eq!(rto_s(&record, &before, moment(10.0)), Some(12.0), "active before, and again");
    }

    #[test]
    fn a_transfer_that_one_site_does_not_have_is_unaccounted_for() {
        let record = record(&[1.0, 2.0, 3.0]);
        assert_eq!(unaccounted(&record, &ids(&[0, 1, 2]), &ids(&[0, 1])), [2]);
        assert!(unaccounted(&record, &ids(&[0, 1, 2, 7]), &ids(&[0, 1, 2])).is_empty());
    }

    #[test]
    fn one_client_that_waits_is_a_pause_whatever_others_do_and_counts_when_it_touches_the_span() {
        let mut record = record(&[1.0, 2.0, 3.0, 4.0, 5.0]);
        record.acknowledged[3].sent = moment(1.5);
        assert_eq!(longest_pause_s(&record, moment(1.9), moment(2.1)), Some(2.5));
        assert_eq!(longest_pause_s(&record, moment(3.9), moment(6.0)), Some(2.5));
        assert_eq!(longest_pause_s(&record, moment(4.5), moment(6.0)), Some(0.25));
        assert_eq!(longest_pause_s(&record, moment(6.0), moment(7.0)), None);
    }

    #[test]
    fn two_sites_overlap_when_the_old_one_commits_after_the_new_one_began() {
        let span = |first, last| CommitSpan { first_us: Some(first), last_us: Some(last) };
        assert_eq!(overlap_ms(span(0, 1_000), span(2_000, 3_000)), 0);
        assert_eq!(overlap_ms(span(0, 2_001), span(2_000, 3_000)), 1);
        assert_eq!(overlap_ms(span(0, 5_000), span(2_000, 3_000)), 3);
        assert_eq!(overlap_ms(CommitSpan::default(), span(1, 2)), 0);
    }
}
