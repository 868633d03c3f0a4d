//! Stores of kind `redis`.

use super::{MAX_LAG, Resolver, value};
use crate::config::reader::At;
use crate::config::typed;
use crate::config::values::TlsMode;
use mainstay_core::SiteName;
use mainstay_core::estate::{RedisEndpoint, RedisStore, RedisTls};

impl Resolver<'_> {
    pub(super) fn redis_store(&mut self, at: &At<typed::Store>) -> Option<RedisStore> {
        let endpoints = self.map(at.value.endpoints.as_ref()?, Self::redis_endpoint);
        let list = |at: &At<Vec<At<String>>>| at.value.iter().map(|it| it.value.clone()).collect();
        Some(RedisStore {
            users: list(at.value.users.as_ref()?),
            readers: at.value.readers.as_ref().map(list).unwrap_or_default(),
            max_lag: value(&at.value.max_lag).unwrap_or(MAX_LAG),
            exclude: at.value.exclude.as_ref().map(list).unwrap_or_default(),
            compare_every: self.compare_every(&at.value),
            endpoints: endpoints?,
        })
    }

    fn redis_endpoint(&mut self, _: &SiteName, at: &At<typed::Endpoint>) -> Option<RedisEndpoint> {
        let password = self.secret(at.value.password.as_ref().filter(|_| self.secrets));
        let tls = self.redis_tls(&at.value);
        let address = &at.value.address.as_ref()?.value;
        Some(RedisEndpoint {
            host: address.host.clone(),
            port: address.port,
            user: value(&at.value.user),
            password: password?,
            tls: tls?,
        })
    }

    fn redis_tls(&mut self, endpoint: &typed::Endpoint) -> Option<RedisTls> {
        match endpoint.tls.as_ref()?.value {
            TlsMode::Disable => Some(RedisTls::Disable),
            TlsMode::VerifyFull => {
                Some(RedisTls::VerifyFull { authority: self.server_authority(endpoint)? })
            }
        }
    }
}
