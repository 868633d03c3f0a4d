//! What the global options mean: where the agent's socket is, which file is the configuration.

use super::failure::code;
use super::{Failure, Global};
use crate::client::{Client, Network, Typed, Way};
use crate::config::{self, Checked, Look};
use std::path::{Path, PathBuf};

#[derive(Clone)]
pub struct Context {
    pub global: Global,
}

/// Whose agent is the better one to ask, where there is a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Active,
    Standby,
}

/// Where packages keep an agent's folder.
const STATE: &str = "/var/lib/mainstay";
const CONFIGURATIONS: [&str; 2] = ["mainstay.toml", "/etc/mainstay/mainstay.toml"];

impl Context {
    pub fn new(global: Global) -> Self {
        Self { global }
    }

    /// The folder that an agent or a gate of this machine works in.
    pub fn state(&self) -> PathBuf {
        self.global.state.clone().unwrap_or_else(|| PathBuf::from(STATE))
    }

    /// The folder of the agent to talk to: the one that was named, or one of the lab that is up,
    /// or this machine's.
    pub async fn folder(&self, side: Side) -> PathBuf {
        match &self.global.state {
            Some(state) => state.clone(),
            None => super::lab::folder(side).await.unwrap_or_else(|| self.state()),
        }
    }

    pub async fn client(&self) -> Result<Client, Failure> {
        self.client_of(Side::Active).await
    }

    /// The agent elsewhere that was named, or the one of a folder here.
    pub async fn client_of(&self, side: Side) -> Result<Client, Failure> {
        let way = match &self.global.agent {
            Some(agent) => Way::Network(self.network(agent)?),
            None => Way::Socket(self.folder(side).await.join("agent.sock")),
        };
        Ok(Client::new(way))
    }

    fn network(&self, agent: &str) -> Result<Network, Failure> {
        let Global { site, authority, certificate, key, token_file, .. } = &self.global;
        let typed = Typed {
            agent,
            site: site.as_ref().map(mainstay_core::SiteName::as_str),
            authority: authority.as_deref(),
            certificate: certificate.as_deref(),
            key: key.as_deref(),
            token_file: token_file.as_deref(),
        };
        let advice = "mainstay --agent https://HOST:PORT --authority FILE, and --certificate FILE \
                      --key FILE or --token-file FILE";
        Network::new(&typed).map_err(|why| Failure::new(code::NO_WAY, why, advice))
    }

    /// The configuration that was named, or the first of the usual ones that is there.
    pub fn configuration(&self) -> PathBuf {
        let usual = || {
            let there = CONFIGURATIONS.iter().find(|path| Path::new(path).exists());
            PathBuf::from(there.unwrap_or(&CONFIGURATIONS[0]))
        };
        self.global.config.clone().unwrap_or_else(usual)
    }

    pub fn check(&self, path: &Path, look: Look) -> Checked {
        let site = self.global.site.as_ref();
        let env = |name: &str| std::env::var(name).ok();
        config::check(path, &config::Options { site, look, env: &env })
    }
}
