//! The coordinator that this agent keeps, for the other agents.

use crate::api::reply::{Reply, reply};
use crate::coordinator::remote::SwapRequest;
use crate::coordinator::{CoordinatorError, Embedded, Swap, Versioned};
use crate::error::Refused;
use crate::serve::Caller;
use axum::extract::{Path, State};
use axum::routing::{any, get};
use axum::{Extension, Json, Router};
use mainstay_core::{ApplicationName, Record};

pub fn router(embedded: Embedded) -> Router {
    Router::new()
        .route("/v1/coordinator/{application}", get(read_record).post(swap_record))
        .with_state(embedded)
}

/// At a site whose agent keeps none.
pub fn elsewhere() -> Router {
    let not_here = || async {
        let what = "the coordinator is not kept at this site";
        let advice = "give every site the same configuration";
        reply(async { Err::<Swap, _>(Refused::new("MS-AGENT-011", what, advice)) }).await
    };
    Router::new().route("/v1/coordinator/{application}", any(not_here))
}

async fn read_record(
    State(embedded): State<Embedded>,
    Path(application): Path<ApplicationName>,
) -> Reply<Versioned> {
    reply(async { embedded.read(&application).await.map_err(refused) }).await
}

/// Only an agent that acts for itself may change who is active, or renew. Everyone may pause.
async fn swap_record(
    State(embedded): State<Embedded>,
    Extension(Caller(caller)): Extension<Caller>,
    Path(application): Path<ApplicationName>,
    Json(SwapRequest { expected, next }): Json<SwapRequest>,
) -> Reply<Swap> {
    reply(async {
        let pauses = |it: &Record| it.differs_at_most_in_pause(&next);
        if next.active != caller && !expected.record.as_ref().is_some_and(pauses) {
            let what = format!("{caller} may not act for {}", next.active);
            let advice = "each agent changes the record only in its own name";
            return Err(Refused::new("MS-AGENT-011", what, advice));
        }
        embedded.swap(&application, &expected, &next).await.map_err(refused)
    })
    .await
}

fn refused(why: CoordinatorError) -> Refused {
    match why {
        CoordinatorError::Refused(rule) => Refused::new("MS-COORD-002", rule, "read it again"),
        CoordinatorError::Silent(why) | CoordinatorError::Unusable(why) => {
            Refused::new("MS-COORD-001", why, "look at the disk of the coordinator's site")
        }
    }
}
