//! What a comparison leaves at a server when it is given up: nothing. A server goes on with a
//! statement that nobody waits for, and tokio-postgres keeps the connection until it has ended.

use crate::postgres::connect;
use crate::postgres::session::Session;
use mainstay_core::estate::PostgresEndpoint;
use tokio_postgres::CancelToken;

/// Has the session's statement cancelled, unless the comparison is finished before this is dropped.
pub(super) struct Watch(Option<(PostgresEndpoint, CancelToken)>);

impl Watch {
    pub fn over(session: &Session, endpoint: &PostgresEndpoint) -> Self {
        Self(Some((endpoint.clone(), session.client().cancel_token())))
    }

    pub fn finished(mut self) {
        self.0 = None;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let Some((endpoint, token)) = self.0.take() else { return };
        // Without a runtime the whole process ends, and the server notices that by itself.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            if let Err(error) = connect::cancel(&endpoint, &token).await {
                tracing::debug!(%error, "a comparison's statement was not cancelled");
            }
        });
    }
}
