//! What the global options mean: where the agent's socket is, which file is the configuration.

use super::Global;
use crate::client::Client;
use crate::config::{self, Checked, Look};
use std::path::{Path, PathBuf};

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

    pub async fn client(&self) -> Client {
        self.client_of(Side::Active).await
    }

    pub async fn client_of(&self, side: Side) -> Client {
        Client::new(self.folder(side).await.join("agent.sock"))
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
