//! Nobody else changes the target while rows are swapped, and it does not become the active site.

use super::{DOING, Sides, stands};
use crate::postgres::fault::Fault;
use crate::postgres::session::fault;
use tokio_postgres::Transaction;

/// Says whether the target still stands where it was made to.
pub(super) type Still<'a> = &'a (dyn Fn() -> bool + Send + Sync);

/// Invariant: from here to the end of the target's transaction the link applies nothing there, and
/// the application is not let in. The link writes its position in each of its transactions, and an
/// opening the fence's row: both wait.
pub(super) async fn lock(
    transaction: &Transaction<'_>,
    sides: &Sides,
    place: &str,
    still: Still<'_>,
) -> Result<(), Fault> {
    const LINK: &str = "SELECT FROM mainstay.link WHERE name = $1 FOR UPDATE";
    const SITE: &str = "SELECT open AND opened_postmaster \
                               IS NOT DISTINCT FROM pg_catalog.pg_postmaster_start_time() \
                        FROM mainstay.site FOR SHARE";
    let failed = |error| fault(place, DOING, &error);
    transaction.execute(LINK, &[&sides.link]).await.map_err(failed)?;
    let open = transaction.query_one(SITE, &[]).await.map_err(failed)?;
    if open.get(0) {
        return Err(stands(sides, "the site is open to the application".to_owned()));
    }
    match still() {
        true => Ok(()),
        false => Err(stands(sides, "the link does not stand still any more".to_owned())),
    }
}
