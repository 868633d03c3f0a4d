//! The guards of the decision, each with what is left when it is taken away. The text must be found
//! exactly once, so that a guard which was rewritten is not quietly forgotten here.

pub struct Mutant {
    /// The guard, in words.
    pub guard: &'static str,
    /// In `crates/core/src`.
    pub file: &'static str,
    pub from: &'static str,
    pub to: &'static str,
}

const fn of(
    file: &'static str,
    guard: &'static str,
    from: &'static str,
    to: &'static str,
) -> Mutant {
    Mutant { guard, file, from, to }
}

const DECIDE: &str = "decision/mod.rs";
const ACTIVE: &str = "decision/active.rs";
const CANDIDATE: &str = "decision/candidate.rs";
const FACTS: &str = "decision/facts.rs";
const FENCING: &str = "decision/fencing.rs";

pub const MUTANTS: &[Mutant] = &[
    // What every site asks first.
    of(
        DECIDE,
        "an older record than one seen is refused",
        "if seen.record.epoch < facts.highest",
        "if false",
    ),
    of(
        CANDIDATE,
        "a candidate goes by the longer lease of both",
        "rules.lease.length().max(seen.record.lease().unwrap_or_default())",
        "rules.lease.length()",
    ),
    of(DECIDE, "a witness decides nothing", "if facts.witness {", "if false {"),
    of(
        DECIDE,
        "only where the coordinator answered is a record founded",
        "facts.coordinator_empty && facts.is_home && virgin",
        "facts.is_home && virgin",
    ),
    of(
        DECIDE,
        "only the home site founds",
        "facts.coordinator_empty && facts.is_home && virgin",
        "facts.coordinator_empty && virgin",
    ),
    of(
        DECIDE,
        "who remembers an epoch founds nothing",
        "facts.is_home && virgin && !facts.witness",
        "facts.is_home && !facts.witness",
    ),
    of(DECIDE, "a promise is for the newest epoch seen", "&& facts.highest <= epoch", ""),
    of(
        DECIDE,
        "a promise is for the holder of the epoch",
        "(record.epoch == epoch && record.active == *asking)",
        "record.epoch == epoch",
    ),
    of(
        DECIDE,
        "a promise is not for an epoch that is over",
        "let newer = record.epoch < epoch || (",
        "let newer = true || (",
    ),
    of(
        DECIDE,
        "who takes itself for active promises nothing",
        "newer && record.active != facts.here",
        "newer",
    ),
    of(DECIDE, "no promise while a claim may be made", "&& !facts.claim_is_open()", ""),
    of(
        DECIDE,
        "no hand-over before the promotion is done",
        "holds && facts.promoted == epoch",
        "holds",
    ),
    of(
        DECIDE,
        "no hand-over by a site that is not active",
        "it.active == facts.here && it.epoch == epoch",
        "it.epoch == epoch",
    ),
    of(
        CANDIDATE,
        "nothing begins by itself while health comes and goes",
        "found.extend(facts.health.suppressed(now)",
        "found.extend(None::<Duration>",
    ),
    of(
        CANDIDATE,
        "nothing begins by itself while a clock is off",
        "found.extend(facts.clock.clone().map(Hindrance::ClockRate));",
        "",
    ),
    of(
        "watch/damping.rs",
        "a site that becomes active keeps what was counted",
        "Self { healthy: false, ..self }",
        "Self::default()",
    ),
    of(
        "watch/damping.rs",
        "an unknown verdict is no loss",
        "Verdict::Unhealthy | Verdict::Unreachable if self.healthy => {",
        "Verdict::Unknown | Verdict::Unhealthy | Verdict::Unreachable if self.healthy => {",
    ),
    of(
        "watch/tally.rs",
        "old looks stand for nothing",
        "now.since(self.newest) <= self.fresh_for",
        "true",
    ),
    of(
        "watch/conclude.rs",
        "a probe that was not made says nothing",
        "looks.iter().find(|(_, look)| look.is_none())",
        "looks.iter().find(|_| false)",
    ),
    of(
        FACTS,
        "a claim is open while its record stands",
        "seen.record == *from",
        "seen.record != *from",
    ),
    of(
        FACTS,
        "a claim is open until a record was read",
        "self.record.as_ref().is_none_or(|seen|",
        "self.record.as_ref().is_some_and(|seen|",
    ),
    of(
        FACTS,
        "a hold is of one epoch",
        "hold.epoch == epoch && now < hold.until",
        "now < hold.until",
    ),
    of(FACTS, "a hold runs out", "hold.epoch == epoch && now < hold.until", "hold.epoch == epoch"),
    // The holder of the epoch.
    of(
        ACTIVE,
        "the holder serves after its promotion only",
        "if facts.promoted < record.epoch",
        "if false",
    ),
    of(
        ACTIVE,
        "a promotion is not begun twice",
        "let promotes = !facts.executing && !promise_stands(rules, facts, record, now);",
        "let promotes = !promise_stands(rules, facts, record, now);",
    ),
    of(
        ACTIVE,
        "who handed over does not serve",
        "if let Some(handover) = &record.handover {",
        "if let Some(handover) = record.handover.as_ref().filter(|_| false) {",
    ),
    of(
        ACTIVE,
        "who handed over is fenced",
        "Some(posture), Databases::Fenced(record.epoch))",
        "Some(posture), Databases::Leave)",
    ),
    of(
        ACTIVE,
        "a handover is taken back",
        "held.is_none().then_some(Action::TakeBack)",
        "None::<Action>",
    ),
    of(
        ACTIVE,
        "not while the move still holds",
        "held.is_none().then_some(Action::TakeBack)",
        "Some(Action::TakeBack)",
    ),
    of(ACTIVE, "the right to write ends", "Some(until) if now < until =>", "Some(until) =>"),
    of(
        ACTIVE,
        "a right that ended fences the databases",
        "Databases::Fenced(record.epoch),\n            \"this site's lease",
        "Databases::Leave,\n            \"this site's lease",
    ),
    of(
        ACTIVE,
        "after a restart nothing is cut too early",
        "None if now < rules.lease.serves_until(facts.started) => just_started(),",
        "",
    ),
    of(
        ACTIVE,
        "after a restart that grace ends",
        "None if now < rules.lease.serves_until(facts.started)",
        "None",
    ),
    of(
        ACTIVE,
        "a hold opens no databases",
        "if let Some(hold) = facts.held(record.epoch, now) {\n        let posture",
        "if let Some(hold) = facts.held(record.epoch, now).filter(|_| false) {\n        let posture",
    ),
    of(
        ACTIVE,
        "the gate opens after the databases",
        "match facts.open == Some(record.epoch) {",
        "match true {",
    ),
    of(
        ACTIVE,
        "a renewal counts in its epoch",
        ".filter(|renewal| renewal.epoch == record.epoch)",
        "",
    ),
    of(
        ACTIVE,
        "a promise counts in its epoch",
        "let current = promise.epoch == record.epoch;",
        "let current = true;",
    ),
    of(
        ACTIVE,
        "promises carry the right on",
        "renewed.max(promised_until(rules, facts, record))",
        "renewed",
    ),
    of(
        ACTIVE,
        "a site whose stores fail stops renewing",
        "if writable && older_than(rules.lease.renew_every()) {",
        "if older_than(rules.lease.renew_every()) {",
    ),
    // The candidate.
    of(CANDIDATE, "the lease runs out first", "if now < runs_out {", "if false {"),
    of(
        CANDIDATE,
        "a promise is kept",
        "facts.promised.map_or(seen.changed, |promised| promised.max(seen.changed))",
        "seen.changed",
    ),
    of(
        CANDIDATE,
        "a restart forgets what was promised",
        "last_right(facts, seen).max(facts.started)",
        "last_right(facts, seen)",
    ),
    of(
        CANDIDATE,
        "the coordinator answered since the lease ran out",
        "seen.read < runs_out || now.since",
        "now.since",
    ),
    of(
        CANDIDATE,
        "the coordinator answered lately",
        "seen.read < runs_out || now.since(seen.read) > rules.lease.fresh_for()",
        "seen.read < runs_out",
    ),
    of(
        CANDIDATE,
        "no vantage reaches the application",
        "fresh(site) == Verdict::Healthy",
        "fresh(site) == Verdict::Healthy && false",
    ),
    of(
        CANDIDATE,
        "this site looked itself",
        "if fresh(&facts.here) == Verdict::Unknown",
        "if false",
    ),
    of(
        CANDIDATE,
        "a witness looked",
        "if rules.witnesses.iter().all(|witness| fresh(witness) == Verdict::Unknown)",
        "if false",
    ),
    of(CANDIDATE, "the link is complete", "link.filter(|link| link.sound)", "link"),
    of(
        CANDIDATE,
        "nothing arrives any more",
        "if link.advanced.is_some_and(",
        "if false && link.advanced.is_some_and(",
    ),
    of(
        CANDIDATE,
        "an unknown lag is no lag of nought",
        "None => found.push(Hindrance::LagUnknown { store: store.clone() }),",
        "None => {}",
    ),
    of(
        CANDIDATE,
        "the bound for the lag",
        "Some(lag) if lag > bound",
        "Some(lag) if lag > bound && false",
    ),
    of(
        CANDIDATE,
        "the lag counts to the last promise, too",
        ".filter(|_| last_right == seen.changed)",
        "",
    ),
    of(
        CANDIDATE,
        "a site whose salvage is not kept",
        "WayBack::Apart => Hindrance::Returning",
        "WayBack::Apart => Hindrance::NotProved",
    ),
    of(
        CANDIDATE,
        "a site that is not back",
        "found.extend(facts.returning.map(",
        "found.extend(facts.returning.filter(|_| false).map(",
    ),
    of(CANDIDATE, "the cool-down", "if facts.epoch_is_failover && now < ends", "if false"),
    of(
        CANDIDATE,
        "the configuration leaves it to a person",
        "if rules.mode != FailoverMode::Automatic",
        "if false",
    ),
    of(CANDIDATE, "the ledger can be written", "if !facts.ledger_sound", "if false"),
    of(
        CANDIDATE,
        "an order does not outweigh everything",
        "found.retain(|hindrance| !hindrance.yields_to(order));",
        "found.clear();",
    ),
    of(
        CANDIDATE,
        "an order outweighs only what it names",
        "these.iter().any(|it| it.name() == self.name())",
        "true",
    ),
    of(
        CANDIDATE,
        "an order accepts no loss by itself",
        "order.accept_loss);",
        "order.accept_loss.or(Some(Duration::MAX)));",
    ),
    of(
        CANDIDATE,
        "an execution at work claims nothing",
        "state == State::Claiming && !facts.executing",
        "state == State::Claiming",
    ),
    of(
        CANDIDATE,
        "a site that is not active is fenced",
        "if facts.executing { Databases::Leave } else { Databases::Fenced(seen.record.epoch) }",
        "Databases::Leave",
    ),
    of(
        "verdict.rs",
        "old evidence is none",
        "if now.since(self.gathered) <= fresh_for {",
        "if true {",
    ),
    of(
        "lease.rs",
        "the active site stops early",
        "sent.plus(self.length * 4 / 10)",
        "sent.plus(self.length * 12 / 10)",
    ),
    of(
        "lease.rs",
        "a candidate waits long enough",
        "seen.plus(self.length + self.length / 50)",
        "seen.plus(self.length * 3 / 10)",
    ),
    // A fence from outside.
    of(FENCING, "fence: only the lease is in the way", "&& left.next().is_none()", ""),
    of(FENCING, "fence: the lease is in the way", "&& only_the_lease", ""),
    of(FENCING, "fence: there are means", "contains(&seen.record.active)", "len() < 9"),
    of(FENCING, "fence: once for a record", "&& !begun", ""),
    of(FENCING, "fence: never two at once", "&& !facts.fence_is_open()", ""),
    of(FENCING, "fence: the site is silent", "silent_for >= rules.fence_after &&", ""),
    of(
        FENCING,
        "fence: the coordinator answers now",
        "&& now.since(seen.read) <= rules.lease.look_timeout()",
        "",
    ),
    of(FENCING, "fence: the proof is bound to its record", "&& it.from == *record", ""),
    of(
        FENCING,
        "fence: a promise since it began voids the proof",
        "&& self.promised.is_none_or(|promised| promised < it.begun)",
        "",
    ),
    of(
        FENCING,
        "fence: only what is confirmed is a proof",
        "it.outcome == FenceOutcome::Confirmed",
        "it.outcome != FenceOutcome::Unknown",
    ),
    of(
        FENCING,
        "fence: what is unknown is no proof",
        "it.outcome == FenceOutcome::Confirmed",
        "it.outcome != FenceOutcome::UnderWay",
    ),
    of(DECIDE, "fence: no promise while it is under way", "&& !facts.fence_is_open()", ""),
    of(
        CANDIDATE,
        "fence: not while an execution is at work",
        "fencing::begins(rules, facts, seen, &hindrances, now) && !facts.executing",
        "fencing::begins(rules, facts, seen, &hindrances, now)",
    ),
    // What was received before the claim and is gone after it.
    of(
        CANDIDATE,
        "a late loss: no more than was accepted",
        "Self::LagOverBound { lag: loss, .. } | Self::ArrivedLost { bound: loss } => {",
        "Self::LagOverBound { lag: loss, .. } => {",
    ),
    of(
        CANDIDATE,
        "a late loss: only what the order names",
        "hindrance.yields_to(self) && !hindrance.exceeds(self.accept_loss)",
        "!hindrance.exceeds(self.accept_loss)",
    ),
    // The record, whoever writes it.
    of("record.rs", "an epoch does not go back", "if next.epoch < self.epoch {", "if false {"),
    of(
        "record.rs",
        "an epoch is not skipped",
        "if next.epoch != self.epoch.next() {",
        "if false {",
    ),
    of(
        "record.rs",
        "an epoch has one holder",
        "let same_holder = next.active == self.active &&",
        "let same_holder =",
    ),
    of(
        "record.rs",
        "the former holder is named",
        "if next.former.as_ref() != Some(&self.active) {",
        "if false {",
    ),
    of(
        "record.rs",
        "a renewal rises",
        "if next.renewal <= self.renewal && !pauses {",
        "if false {",
    ),
    of("record.rs", "a claim is the next epoch", "epoch: self.epoch.next(),", "epoch: self.epoch,"),
];
