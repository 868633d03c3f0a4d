//! Who lets keys expire at a target: the source, whose DEL comes when it is time there.
//!
//! A target that expires a key by its own clock may do so before a command arrives that the source
//! carried out while the key was still there, above all one that gave it more time. Valkey (8.1)
//! can be told to leave that to the one who imports (`import-mode`); its own clients see expired
//! keys as gone all the same. Redis cannot.

use crate::redis::connect::ConnectError;
use crate::redis::fault::Fault;
use crate::redis::session::Session;
use mainstay_core::estate::RedisEndpoint;

const SETTING: &str = "import-mode";

/// For the session that applies.
pub(super) async fn hold(target: &mut Session) -> Result<(), Fault> {
    if target.setting(SETTING).await?.is_none() {
        return Ok(());
    }
    target.call("hold back expiry", &["CONFIG", "SET", SETTING, "yes"]).await?;
    target.call("hold back expiry", &["CLIENT", "IMPORT-SOURCE", "ON"]).await.map(drop)
}

/// A server that no link applies to lets its keys expire itself.
pub(super) async fn release(endpoint: &RedisEndpoint) -> Result<(), Fault> {
    match Session::open(endpoint, "release").await {
        Err(Fault::Connect(ConnectError::Unreachable { .. })) => Ok(()),
        Err(other) => Err(other),
        Ok(mut target) => release_in(&mut target).await,
    }
}

pub(super) async fn release_in(target: &mut Session) -> Result<(), Fault> {
    if target.setting(SETTING).await?.is_none() {
        return Ok(());
    }
    target.call("let keys expire", &["CONFIG", "SET", SETTING, "no"]).await.map(drop)
}
