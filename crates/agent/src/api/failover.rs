//! A person's failover, at the site that it leads to. What a person may outweigh alone is done at
//! once; for the rest a request is kept, until somebody else approves it.
//!
//! An order is forced exactly when the agents themselves would not have begun the failover with
//! `failover = "automatic"`. The decision enforces it: an order names what it outweighs.

use super::{accept, plan};
use crate::act::fencing;
use crate::application::Application;
use crate::error::Refused;
use crate::people::Asker;
use crate::people::requests::{Asked, Standing};
use crate::time::{tick, unix_micros};
use crate::types::{
    ApprovalRequest, Begun, Execution, ExecutionKind, Forced, MoveRequest, RequestState,
};
use mainstay_core::decision::{Hindrance, Order, Outweighs, hindrances};
use mainstay_core::estate::FailoverMode;
use mainstay_core::people::{Force, Role};
use mainstay_core::{Epoch, SiteName};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// Beyond the rest of the lease, for the claim itself.
const CLAIM: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(100);

/// How long an order may take until it begins, or is refused.
pub fn patience(application: &Application) -> Duration {
    application.spec.lease * 2 + CLAIM + application.rules.lease.fresh_for()
}

/// Begins the failover, or keeps a request for it.
pub async fn begin(
    application: &Arc<Application>,
    request: &MoveRequest,
    asker: &Asker,
) -> Result<Begun, Refused> {
    must_be_as_planned(application, request).await?;
    let accept_loss = request.accept_loss_s.and_then(|s| Duration::try_from_secs_f64(s).ok());
    let may_answer = asker.role >= Role::Approver;
    if may_answer && application.spec.force == Force::One {
        let order = Order { accept_loss, outweighs: Outweighs::All };
        let word = request.fenced_by_hand.as_deref();
        return obey(application, order, &asker.name, word).await.map(Begun::Begun);
    }
    if request.fenced_by_hand.is_some() {
        let forced = instead_of_the_lease(application, accept_loss)?;
        return ask(application, request, asker, forced, accept_loss).await;
    }
    let forced = match settle(application, accept_loss).await? {
        Settled::Begun(execution) => return Ok(Begun::Begun(*execution)),
        Settled::Forced(forced) => forced,
    };
    if forced.is_empty() && (may_answer || application.rules.mode != FailoverMode::Approve) {
        let order = Order { accept_loss: None, outweighs: Outweighs::These(Vec::new()) };
        return obey(application, order, &asker.name, None).await.map(Begun::Begun);
    }
    ask(application, request, asker, forced, accept_loss).await
}

/// The word of somebody else, on a request that still is what would be done.
pub async fn approved(
    application: &Arc<Application>,
    id: &str,
    approver: &Asker,
) -> Result<Execution, Refused> {
    let waiting = accept::waiting(application);
    let standing = match &waiting {
        Some(execution) => Some(accept::standing(execution)?),
        None => standing(application).or_else(|| active_by_now(application)),
    };
    let standing = standing
        .ok_or_else(|| refused("the coordinator has not answered yet", "see `mainstay status`"))?;
    if let Some(firm) = standing.hindrances.iter().find(|it| is_firm(it)) {
        return Err(refused(firm.to_string(), advice(firm)));
    }
    let asked = match application.requests.approve(id, approver, tick(), &standing) {
        Ok(asked) => asked,
        Err(refusal) => {
            let body = json!({
                "request": id, "by": approver.name, "role": approver.role,
                "why": refusal.what, "code": refusal.code,
            });
            enter(application, "not-approved", body).await?;
            return Err(refusal);
        }
    };
    let names: Vec<String> = asked.forced.iter().map(Hindrance::name).collect();
    let body = json!({
        "request": id, "by": approver.name, "of": asked.by.name, "plan": asked.shown.plan,
        "epoch": asked.shown.epoch, "forced": names,
    });
    enter(application, "approved", body).await?;
    let body = json!({
        "kind": ExecutionKind::Failover, "to": application.here(), "by": asked.by.name,
        "approved_by": approver.name, "request": id, "reason": asked.shown.reason,
        "accept_loss_s": asked.shown.accept_loss_s, "fenced_by_hand": asked.shown.fenced_by_hand,
    });
    enter(application, "order", body).await?;
    let order = Order { accept_loss: asked.accept_loss, outweighs: Outweighs::These(asked.forced) };
    if waiting.is_some() {
        return accept::give(application, order);
    }
    let by = format!("{}, approved by {}", asked.by.name, approver.name);
    obey(application, order, &by, asked.shown.fenced_by_hand.as_deref()).await
}

/// Enters in the ledger which requests have expired.
pub async fn sweep(application: &Application) {
    for expired in application.requests.sweep(tick()) {
        let body = json!({"request": expired.id, "of": expired.by});
        // A ledger that cannot be written is told by `enter` itself.
        let _told = application.enter("request-expired", body).await;
    }
}

pub async fn enter(
    application: &Application,
    kind: &'static str,
    body: serde_json::Value,
) -> Result<(), Refused> {
    let entered = application.enter(kind, body).await;
    entered.map_err(|why| refused(why.to_string(), "nothing is begun that cannot be recorded"))
}

/// Whoever decided by a plan gets that, or nothing.
async fn must_be_as_planned(
    application: &Application,
    request: &MoveRequest,
) -> Result<(), Refused> {
    let Some(seen) = &request.plan else { return Ok(()) };
    let plan = plan::make(application, ExecutionKind::Failover).await?;
    match plan.hash.as_ref() == Some(seen) {
        true => Ok(()),
        false => Err(Refused::new(
            "MS-PEOPLE-007",
            format!("the plan is not {seen} any more: what would be done or lost has changed"),
            "look at `mainstay plan failover` again",
        )),
    }
}

/// What waiting for the lease comes to.
enum Settled {
    /// The agents have begun it by themselves.
    Begun(Box<Execution>),
    /// What a failover now would have to outweigh.
    Forced(Vec<Hindrance>),
}

/// Waits until the lease has run out, and until what still stands in the way has stood so long
/// that it is no echo of when the site was there.
async fn settle(
    application: &Arc<Application>,
    accept_loss: Option<Duration>,
) -> Result<Settled, Refused> {
    let before = application.epochs().highest;
    let deadline = tick().plus(patience(application));
    let mut quiet_since = None;
    loop {
        if let Some(execution) = begun(application, before) {
            return Ok(Settled::Begun(Box::new(execution)));
        }
        let now = tick();
        if let Some(Standing { hindrances, lease_runs, .. }) = standing(application) {
            let forced = forced(hindrances, accept_loss)?;
            quiet_since = quiet_since.filter(|_| !lease_runs).or((!lease_runs).then_some(now));
            let settled = quiet_since
                .is_some_and(|since| now.since(since) > application.rules.lease.fresh_for());
            if settled || (!lease_runs && forced.is_empty()) {
                return Ok(Settled::Forced(forced));
            }
        }
        if now > deadline {
            return Err(still_renews());
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// What an order would have to outweigh, unless it cannot.
fn forced(
    hindrances: Vec<Hindrance>,
    accept_loss: Option<Duration>,
) -> Result<Vec<Hindrance>, Refused> {
    let firm = |it: &&Hindrance| is_firm(it) || it.exceeds(accept_loss);
    match hindrances.iter().find(firm) {
        Some(firm) => Err(refused(firm.to_string(), advice(firm))),
        None => Ok(hindrances.into_iter().filter(Hindrance::needs_force).collect()),
    }
}

/// A person's word that the active site is off takes the place of its lease: that is forced by
/// itself, and nothing is waited for.
fn instead_of_the_lease(
    application: &Application,
    accept_loss: Option<Duration>,
) -> Result<Vec<Hindrance>, Refused> {
    fencing::must_be_silent(application).map_err(no_word)?;
    standing(application).map_or_else(|| Ok(Vec::new()), |it| forced(it.hindrances, accept_loss))
}

fn no_word(why: String) -> Refused {
    refused(why, "without --fenced-by-hand the failover waits until its lease has run out")
}

/// Keeps what was asked for until somebody else approves it.
async fn ask(
    application: &Application,
    request: &MoveRequest,
    asker: &Asker,
    forced: Vec<Hindrance>,
    accept_loss: Option<Duration>,
) -> Result<Begun, Refused> {
    let accepts = |it: &Hindrance| matches!(it, Hindrance::LagOverBound { .. });
    let accept_loss = accept_loss.filter(|_| forced.iter().any(accepts));
    let plan = plan::make(application, ExecutionKind::Failover).await?;
    let unknown = || refused("the coordinator has not answered yet", "see `mainstay status`");
    let wanted = Wanted {
        from: plan.from.ok_or_else(unknown)?,
        epoch: plan.epoch,
        plan: plan.hash.unwrap_or_default(),
        loss_bound_s: plan.loss_bound_s,
        forced,
        accept_loss,
    };
    keep(application, request, asker, wanted).await
}

/// What somebody else is to approve.
pub struct Wanted {
    pub from: SiteName,
    pub epoch: Epoch,
    /// The plan's hash; empty when the move is under way already.
    pub plan: String,
    pub loss_bound_s: Option<f64>,
    pub forced: Vec<Hindrance>,
    pub accept_loss: Option<Duration>,
}

pub async fn keep(
    application: &Application,
    request: &MoveRequest,
    asker: &Asker,
    wanted: Wanted,
) -> Result<Begun, Refused> {
    let Wanted { from, epoch, plan, loss_bound_s, forced, accept_loss } = wanted;
    let expire = application.spec.approvals_expire;
    let asked_micros = unix_micros();
    let shown = ApprovalRequest {
        id: format!("{}-{epoch}-{}", application.spec.name, short(asker, asked_micros)),
        application: application.spec.name.clone(),
        from,
        to: application.here().clone(),
        epoch,
        plan,
        forced: forced.iter().map(|it| Forced { name: it.name(), what: it.to_string() }).collect(),
        loss_bound_s,
        accept_loss_s: accept_loss.map(|it| it.as_secs_f64()),
        fenced_by_hand: request.fenced_by_hand.clone(),
        by: asker.name.clone(),
        reason: request.reason.clone(),
        asked_micros,
        left_s: expire.as_secs_f64(),
        state: RequestState::Open,
        detail: String::new(),
    };
    let mut body = json!(shown);
    body["proof"] = json!(asker.by);
    enter(application, "request", body).await?;
    let expires = tick().plus(expire);
    let (request, by) = (shown.clone(), asker.clone());
    application.requests.add(Asked { shown, by, expires, forced, accept_loss });
    Ok(Begun::Asked { request })
}

/// A person asks for one thing at a time.
fn short(asker: &Asker, micros: i64) -> String {
    let hash = blake3::hash(format!("{} {micros}", asker.name).as_bytes());
    hash.to_hex()[..8].to_owned()
}

/// Lets the decision go on in spite of what the order outweighs, and waits for the claim.
async fn obey(
    application: &Arc<Application>,
    order: Order,
    by: &str,
    word: Option<&str>,
) -> Result<Execution, Refused> {
    if let Some(text) = word {
        fencing::take_word(application, by, text).map_err(no_word)?;
    }
    application.learn(|known| {
        known.facts.order = Some(order);
        known.ordered_by = Some(by.to_owned());
    });
    let _given = Given { application: application.clone(), word: word.is_some() };
    until_begun(application).await
}

/// An order that stands for as long as somebody waits for it: a person who leaves before it begins
/// has taken it back, and the word that went with it. Nothing must come of it an hour later.
struct Given {
    application: Arc<Application>,
    word: bool,
}

impl Drop for Given {
    fn drop(&mut self) {
        self.application.learn(|known| {
            known.facts.order = None;
            known.ordered_by = None;
        });
        if self.word {
            fencing::forget_word(&self.application);
        }
    }
}

async fn until_begun(application: &Arc<Application>) -> Result<Execution, Refused> {
    let before = application.epochs().highest;
    let deadline = tick().plus(patience(application));
    loop {
        if let Some(execution) = begun(application, before) {
            return Ok(execution);
        }
        if let Some(hindrance) = lasting_hindrances(application).first() {
            return Err(refused(hindrance.to_string(), advice(hindrance)));
        }
        if tick() > deadline {
            return Err(still_renews());
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn begun(application: &Application, before: Epoch) -> Option<Execution> {
    let known = application.known();
    let execution = known.execution.as_ref()?;
    (execution.epoch > before && execution.kind == ExecutionKind::Failover)
        .then(|| execution.clone())
}

/// What stands in the way while nobody has given an order; none when this site is active itself.
fn standing(application: &Application) -> Option<Standing> {
    let now = tick();
    let mut known = application.known();
    known.refresh(&application.rules, now);
    let seen = known.facts.record.clone().filter(|it| it.record.active != known.facts.here)?;
    let order = known.facts.order.take();
    let all = hindrances(&application.rules, &known.facts, &seen, now);
    let hindrances = known.lasting_hindrances(&application.rules, &seen, now);
    known.facts.order = order;
    let waits = |it: &Hindrance| {
        matches!(it, Hindrance::LeaseRunning { .. } | Hindrance::CoordinatorSilent)
    };
    let epoch = seen.record.epoch.next();
    Some(Standing { epoch, hindrances, lease_runs: all.iter().any(waits) })
}

/// Then nothing stands in the way of it, and it is not for the epoch that was asked for.
fn active_by_now(application: &Application) -> Option<Standing> {
    let epoch = application.known().facts.record.as_ref()?.record.epoch.next();
    Some(Standing { epoch, hindrances: Vec::new(), lease_runs: false })
}

/// What waiting for the lease to run out will not change.
fn lasting_hindrances(application: &Application) -> Vec<Hindrance> {
    let now = tick();
    let mut known = application.known();
    known.refresh(&application.rules, now);
    let Some(seen) = known.facts.record.clone() else { return Vec::new() };
    if seen.record.active == known.facts.here {
        return Vec::new();
    }
    known.lasting_hindrances(&application.rules, &seen, now)
}

/// No number of people outweighs it.
fn is_firm(hindrance: &Hindrance) -> bool {
    !hindrance.needs_force() && *hindrance != Hindrance::NotAutomatic
}

fn still_renews() -> Refused {
    refused(
        "the active site still renews its lease",
        "it is alive: use `mainstay switchover`, or stop it first",
    )
}

fn advice(hindrance: &Hindrance) -> &'static str {
    match hindrance {
        Hindrance::LagOverBound { .. } => {
            "see `mainstay plan failover`; accept the loss with --accept-loss"
        }
        Hindrance::CoordinatorSilent => "nobody can fail over until it does; see `mainstay status`",
        Hindrance::Returning => "see `mainstay status` for where its way back stands",
        _ => "see `mainstay status`",
    }
}

fn refused(what: impl Into<String>, advice: &str) -> Refused {
    Refused::new("MS-AGENT-012", what, advice)
}
