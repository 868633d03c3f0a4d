//! What the global options mean: where the agent's socket is, which file is the configuration.

use super::{Failure, Global};
use crate::client::Client;
use crate::config;
use std::path::{Path, PathBuf};

pub struct Context {
    pub global: Global,
}

/// Where packages keep an agent's folder.
const STATE: &str = "/var/lib/mainstay";
const CONFIGURATIONS: [&str; 2] = ["mainstay.toml", "/etc/mainstay/mainstay.toml"];

impl Context {
    pub fn new(global: Global) -> Self {
        Self { global }
    }

    /// The folder of this site's agent.
    pub fn state(&self) -> PathBuf {
        self.global.state.clone().unwrap_or_else(|| PathBuf::from(STATE))
    }

    /// The agent to talk to.
    pub async fn client(&self) -> Client {
        Client::new(self.state().join("agent.sock"))
    }

    /// The configuration that was named, or the first of the usual ones that is there.
    pub fn configuration(&self) -> PathBuf {
        let usual = || {
            let there = CONFIGURATIONS.iter().find(|path| Path::new(path).exists());
            PathBuf::from(there.unwrap_or(&CONFIGURATIONS[0]))
        };
        self.global.config.clone().unwrap_or_else(usual)
    }

    pub fn check(&self, path: &Path, look_around: bool) -> config::Checked {
        let site = self.global.site.as_ref();
        let env = |name: &str| std::env::var(name).ok();
        config::check(path, &config::Options { site, look_around, env: &env })
    }

    pub fn no_site(&self) -> Failure {
        Failure::new(
            config::problem::code::SITE_NOT_CHOSEN,
            "which site this machine is was not said",
            "add --site NAME, or set MAINSTAY_SITE",
        )
    }
}
