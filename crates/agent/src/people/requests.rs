//! Requests for another person's approval. They live in the agent of the site that would take over,
//! and end with it: after a restart nobody knows what was seen when it was asked for.

use super::Asker;
use crate::error::Refused;
use crate::people::too_little;
use crate::types::{ApprovalRequest, RequestState};
use mainstay_core::decision::Hindrance;
use mainstay_core::people::Role;
use mainstay_core::{Epoch, Tick};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Requests that have ended are shown for a while: who comes late is told what became of them.
const ENDED_SHOWN: usize = 16;

/// What was asked for, and seen when it was.
#[derive(Debug, Clone)]
pub struct Asked {
    pub shown: ApprovalRequest,
    pub by: Asker,
    pub expires: Tick,
    /// What the order would outweigh: this and nothing else is approved.
    pub forced: Vec<Hindrance>,
    pub accept_loss: Option<Duration>,
}

/// What stands in the way at the approval.
pub struct Standing {
    /// The epoch that a failover would make now.
    pub epoch: Epoch,
    pub hindrances: Vec<Hindrance>,
    /// They may pass with the lease.
    pub lease_runs: bool,
}

#[derive(Default)]
pub struct Requests(Mutex<Vec<Asked>>);

impl Requests {
    /// Adds one. A person's earlier request for the same application is replaced, so that there are
    /// never more open ones than people.
    pub fn add(&self, asked: Asked) {
        self.with(|all| {
            for earlier in all.iter_mut().filter(|it| it.is_open() && it.by.may_be(&asked.by)) {
                earlier.end(RequestState::Withdrawn, format!("replaced by {}", asked.shown.id));
            }
            all.push(asked);
            let ended = all.iter().filter(|it| !it.is_open()).count();
            let mut over = ended.saturating_sub(ENDED_SHOWN);
            all.retain(|it| {
                let goes = over > 0 && !it.is_open();
                over -= usize::from(goes);
                !goes
            });
        });
    }

    /// The newest first.
    pub fn list(&self, now: Tick) -> Vec<ApprovalRequest> {
        self.with(|all| all.iter().rev().map(|it| it.view(now)).collect())
    }

    /// Those that have expired since this was last asked.
    pub fn sweep(&self, now: Tick) -> Vec<ApprovalRequest> {
        self.with(|all| {
            let over = all.iter_mut().filter(|it| it.is_open() && now >= it.expires);
            over.map(|it| {
                it.end(RequestState::Expired, "nobody approved it in time".to_owned());
                it.view(now)
            })
            .collect()
        })
    }

    /// Ends the request by the approval of somebody else. It is approved at most once, and only as
    /// what was asked for.
    pub fn approve(
        &self,
        id: &str,
        approver: &Asker,
        now: Tick,
        standing: &Standing,
    ) -> Result<Asked, Refused> {
        self.with(|all| {
            let asked = find(all, id)?;
            asked.must_be_open(now)?;
            if approver.role < Role::Approver {
                return Err(too_little(approver, Role::Approver));
            }
            if approver.may_be(&asked.by) {
                return Err(own(approver, asked));
            }
            if let Some(why) = asked.outdated(standing) {
                asked.end(RequestState::Void, why);
            }
            asked.must_be_open(now)?;
            asked.end(RequestState::Approved, format!("by {}", approver.name));
            Ok(asked.clone())
        })
    }

    /// The requester takes it back, or an approver rejects it.
    pub fn withdraw(
        &self,
        id: &str,
        person: &Asker,
        now: Tick,
    ) -> Result<ApprovalRequest, Refused> {
        self.with(|all| {
            let asked = find(all, id)?;
            asked.must_be_open(now)?;
            if !person.may_be(&asked.by) && person.role < Role::Approver {
                return Err(too_little(person, Role::Approver));
            }
            asked.end(RequestState::Withdrawn, format!("by {}", person.name));
            Ok(asked.view(now))
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut Vec<Asked>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn find<'a>(all: &'a mut [Asked], id: &str) -> Result<&'a mut Asked, Refused> {
    all.iter_mut().find(|it| it.shown.id == id).ok_or_else(|| unknown(id))
}

pub fn unknown(id: &str) -> Refused {
    Refused::new(
        "MS-PEOPLE-005",
        format!("there is no request {id}; one ends when the agent that keeps it restarts"),
        "see `mainstay requests`; whoever asked types the same again",
    )
}

fn own(approver: &Asker, asked: &Asked) -> Refused {
    let Asked { shown, by, .. } = asked;
    Refused::new(
        "MS-PEOPLE-004",
        format!("{} asked for {}: {} cannot approve it as well", by.name, shown.id, approver.name),
        "have another approver type it",
    )
}

impl Asked {
    fn is_open(&self) -> bool {
        self.shown.state == RequestState::Open
    }

    fn end(&mut self, state: RequestState, detail: String) {
        self.shown.state = state;
        self.shown.detail = detail;
    }

    fn must_be_open(&mut self, now: Tick) -> Result<(), Refused> {
        if self.is_open() && now >= self.expires {
            self.end(RequestState::Expired, "nobody approved it in time".to_owned());
        }
        if self.is_open() {
            return Ok(());
        }
        let ApprovalRequest { id, state, detail, .. } = &self.shown;
        Err(Refused::new(
            "MS-PEOPLE-006",
            format!("the request {id} is {}: {detail}", state.name()),
            "look at `mainstay plan failover`; whoever asked types the same again",
        ))
    }

    /// Why what was asked for is not what would be done now.
    fn outdated(&self, now: &Standing) -> Option<String> {
        if now.epoch != self.shown.epoch {
            return Some(format!(
                "it was for epoch {}, and the next one is {}",
                self.shown.epoch, now.epoch
            ));
        }
        let approved = |it: &Hindrance| {
            let named = self.forced.iter().any(|forced| forced.name() == it.name());
            named && !it.exceeds(self.accept_loss)
        };
        let more = now.hindrances.iter().find(|it| it.needs_force() && !approved(it))?;
        Some(format!("more would be forced than was asked for: {more}"))
    }

    fn view(&self, now: Tick) -> ApprovalRequest {
        let left = if self.is_open() { self.expires.since(now) } else { Duration::ZERO };
        ApprovalRequest { left_s: left.as_secs_f64(), ..self.shown.clone() }
    }
}

#[cfg(test)]
mod tests;
