//! A network in earnest: each site in a network namespace of its own, and one more for whoever
//! watches, all of them joined by a router that drops what a cut swallows. It takes root, `ip` and
//! `nft`.

use super::lateness::{self, Lateness};
use crate::error::LabError;
use std::io::Write;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::time::Duration;

/// From where the sites are started and looked at; no cut concerns it.
pub const DESK: &str = "desk";
const ROUTER: &str = "net";
/// Of routes that lead through the device that makes packets late.
const TABLE: &str = "100";
/// Each with the third number of its addresses.
const PLACES: [(&str, u8); 4] = [("east", 1), ("west", 2), ("witness", 3), (DESK, 4)];

#[derive(Debug, Clone)]
pub struct Spaces {
    prefix: String,
}

/// The one address of a place.
pub fn address(place: &str) -> Ipv4Addr {
    let number = PLACES.iter().find(|(name, _)| *name == place).map_or(0, |(_, number)| *number);
    Ipv4Addr::new(10, 99, number, 2)
}

/// The place that has this address.
pub fn place_at(address: &str) -> Option<&'static str> {
    let has = |(name, _): &&(&str, u8)| self::address(name).to_string() == address;
    PLACES.iter().find(has).map(|(name, _)| *name)
}

impl Spaces {
    pub fn named(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    pub fn create(prefix: &str) -> Result<Self, LabError> {
        let spaces = Self::named(prefix);
        let made = spaces.make();
        if made.is_err() {
            spaces.remove();
        }
        made.map(|()| spaces)
    }

    fn make(&self) -> Result<(), LabError> {
        let router = self.name(ROUTER);
        ip(&["netns", "add", &router])?;
        for (place, number) in PLACES {
            let name = self.name(place);
            let here = format!("10.99.{number}.2/24");
            let there = format!("10.99.{number}.1");
            ip(&["netns", "add", &name])?;
            let pair = ["-n", &router, "link", "add", place, "type", "veth", "peer", "name"];
            ip(&[&pair[..], &["eth0", "netns", &name]].concat())?;
            ip(&["-n", &router, "addr", "add", &format!("{there}/24"), "dev", place])?;
            ip(&["-n", &router, "link", "set", place, "up"])?;
            ip(&["-n", &name, "addr", "add", &here, "dev", "eth0"])?;
            ip(&["-n", &name, "link", "set", "eth0", "up"])?;
            ip(&["-n", &name, "link", "set", "lo", "up"])?;
            ip(&["-n", &name, "route", "add", "default", "via", &there])?;
        }
        ip(&["netns", "exec", &router, "sysctl", "-qw", "net.ipv4.ip_forward=1"])?;
        self.rules(
            "table ip lab {\n\
             chain cuts {\ntype filter hook forward priority 0; policy accept;\n}\n\
             chain weather {\ntype filter hook forward priority 1; policy accept;\n}\n}\n",
        )
    }

    pub fn name(&self, place: &str) -> String {
        format!("{}-{place}", self.prefix)
    }

    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// What `from` sends to `to` is swallowed; the other direction goes on.
    pub fn cut_one_way(&self, from: &str, to: &str) -> Result<(), LabError> {
        let (from, to) = (address(from), address(to));
        self.rules(&format!("add rule ip lab cuts ip saddr {from} ip daddr {to} drop\n"))
    }

    pub fn cut(&self, a: &str, b: &str) -> Result<(), LabError> {
        self.cut_one_way(a, b)?;
        self.cut_one_way(b, a)
    }

    /// From every other site.
    pub fn isolate(&self, site: &str) -> Result<(), LabError> {
        let mut others = PLACES.iter().filter(|(name, _)| *name != site && *name != DESK);
        others.try_for_each(|(other, _)| self.cut(site, other))
    }

    pub fn heal(&self) -> Result<(), LabError> {
        self.rules("flush chain ip lab cuts\n")
    }

    /// So many of a thousand packets between the sites are lost.
    pub fn lose(&self, of_1000: u32) -> Result<(), LabError> {
        let desk = address(DESK);
        // What comes back from being late was counted before.
        self.rules(&format!(
            "add rule ip lab weather iifname != \"{}\" ip saddr != {desk} ip daddr != {desk} \
             numgen random mod 1000 < {of_1000} drop\n",
            lateness::DEVICE
        ))
    }

    /// Packets between the sites come late, each way by up to `most`, as long as what is returned
    /// lives.
    pub fn delay(&self, most: Duration, seed: u64) -> Result<Lateness, LabError> {
        let router = self.name(ROUTER);
        let failed = |error: std::io::Error| LabError::Spaces {
            command: format!("a TUN device in {router}"),
            why: error.to_string(),
        };
        let late = lateness::begin(&router, most, seed).map_err(failed)?;
        let own = ["-n", &router];
        ip(&[&own[..], &["link", "set", lateness::DEVICE, "up"]].concat())?;
        ip(&[&own[..], &["route", "add", "default", "dev", lateness::DEVICE, "table", TABLE]]
            .concat())?;
        // Packets that come back from there would be taken for forged ones.
        for place in ["all", lateness::DEVICE] {
            let setting = format!("net.ipv4.conf.{place}.rp_filter=0");
            ip(&["netns", "exec", &router, "sysctl", "-qw", &setting])?;
        }
        let desk = format!("{}/32", address(DESK));
        ip(&[&own[..], &["rule", "add", "to", &desk, "lookup", "main", "pref", "50"]].concat())?;
        for (site, _) in PLACES.iter().filter(|(place, _)| *place != DESK) {
            ip(&[&own[..], &["rule", "add", "iif", site, "lookup", TABLE, "pref", "100"]].concat())?;
        }
        Ok(late)
    }

    /// Whatever still runs in them is killed.
    pub fn remove(&self) {
        for place in PLACES.iter().map(|(name, _)| *name).chain([ROUTER]) {
            let name = self.name(place);
            for pid in pids(&name).into_iter().filter(|pid| *pid != std::process::id()) {
                let pid = nix::unistd::Pid::from_raw(pid.cast_signed());
                // It may have ended in between.
                let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
            }
            let _ = ip(&["netns", "del", &name]);
        }
    }

    /// The processes at a place.
    pub fn pids(&self, place: &str) -> Vec<u32> {
        pids(&self.name(place))
    }

    fn rules(&self, text: &str) -> Result<(), LabError> {
        let router = self.name(ROUTER);
        run(&["ip", "netns", "exec", &router, "nft", "-f", "-"], text).map(drop)
    }
}

fn pids(space: &str) -> Vec<u32> {
    let told = ip(&["netns", "pids", space]).unwrap_or_default();
    told.lines().filter_map(|line| line.trim().parse().ok()).collect()
}

fn ip(words: &[&str]) -> Result<String, LabError> {
    run(&[&["ip"], words].concat(), "")
}

fn run(words: &[&str], input: &str) -> Result<String, LabError> {
    let refused = |why: String| LabError::Spaces { command: words.join(" "), why };
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| refused(error.to_string()))?;
    let written = child.stdin.take().map(|mut stdin| stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().map_err(|error| refused(error.to_string()))?;
    if !output.status.success() {
        return Err(refused(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    written.transpose().map_err(|error| refused(error.to_string()))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
