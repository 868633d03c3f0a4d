//! The web side of a gate.

use super::{Resolver, address, value};
use crate::config::reader::At;
use crate::config::typed;
use crate::config::values::{Address, Number};
use mainstay_core::estate::{
    AccessLog, CertificateFiles, GroupRules, HttpGate, UpstreamGroup, WebLimits, WebOptions,
    WebRoute, WebTls,
};
use mainstay_core::{GroupName, SiteName};
use std::collections::BTreeMap;

impl Resolver<'_> {
    pub(super) fn web_side(&mut self, site: &SiteName, at: &At<typed::Http>) -> Option<HttpGate> {
        let typed = &at.value;
        Some(HttpGate {
            listen: value(&typed.listen)?,
            address: address(&typed.address)?,
            upstreams: addresses(typed.upstreams.as_ref()?),
            health: value(&typed.health)?.0,
            options: self.web_options(site, typed)?,
        })
    }

    fn web_options(&mut self, site: &SiteName, typed: &typed::Http) -> Option<WebOptions> {
        let groups = match &typed.groups {
            Some(groups) => self.map(groups, |_, _: &GroupName, at| group(&at.value))?,
            None => BTreeMap::new(),
        };
        let routes = typed.routes.iter().flat_map(|routes| &routes.value);
        let weights = typed.weights.iter().flat_map(|weights| &weights.value);
        Some(WebOptions {
            tls: match &typed.tls {
                Some(tls) => Some(self.web_tls(site, &tls.value)?),
                None => None,
            },
            rules: GroupRules {
                check: value(&typed.check).map(|path| path.0),
                sticky: value(&typed.sticky).map(|name| name.0),
            },
            groups,
            routes: routes.map(|at| route(&at.value)).collect::<Option<_>>()?,
            weights: weights
                .map(|(site, at)| Some((site.clone(), u32::try_from(at.value.0).ok()?)))
                .collect::<Option<_>>()?,
            limits: typed.limits.as_ref().map_or_else(WebLimits::default, |at| limits(&at.value)),
            log: match &typed.log {
                Some(log) => Some(AccessLog {
                    file: self.vault.path(&log.value.file.as_ref()?.value),
                    queries: value(&log.value.queries)?,
                }),
                None => None,
            },
        })
    }

    /// The certificate and its key are only at the gate's own site; the authority is everywhere.
    fn web_tls(&mut self, site: &SiteName, typed: &typed::HttpTls) -> Option<WebTls> {
        let (certificate, key) = (typed.certificate.as_ref()?, typed.key.as_ref()?);
        let authority = typed.authority.as_ref()?;
        if self.own && site == self.eyes {
            for written in [certificate, key] {
                self.must_exist(written, &[&self.vault.path(&written.value)]);
            }
        }
        self.must_exist(authority, &[&self.vault.path(&authority.value)]);
        Some(WebTls {
            files: CertificateFiles {
                certificate: self.vault.path(&certificate.value),
                key: self.vault.path(&key.value),
            },
            authority: self.vault.path(&authority.value),
        })
    }
}

fn addresses(list: &At<Vec<At<Address>>>) -> Vec<String> {
    list.value.iter().map(|at| at.value.to_string()).collect()
}

fn group(typed: &typed::Group) -> Option<UpstreamGroup> {
    let rules = GroupRules {
        check: value(&typed.check).map(|path| path.0),
        sticky: value(&typed.sticky).map(|name| name.0),
    };
    Some(UpstreamGroup { upstreams: addresses(typed.upstreams.as_ref()?), rules })
}

fn route(typed: &typed::Route) -> Option<WebRoute> {
    let host = value(&typed.host).map(|host| host.0);
    Some(WebRoute { host, path: value(&typed.path)?.0, group: value(&typed.group)? })
}

fn limits(typed: &typed::HttpLimits) -> WebLimits {
    let usual = WebLimits::default();
    let number = |at: &Option<At<Number>>, usual: usize| {
        at.as_ref().map_or(usual, |at| usize::try_from(at.value.0).unwrap_or(usize::MAX))
    };
    WebLimits {
        connections: number(&typed.connections, usual.connections),
        head: number(&typed.head, usual.head),
        headers: number(&typed.headers, usual.headers),
        head_time: value(&typed.head_time).unwrap_or(usual.head_time),
        idle_time: value(&typed.idle_time).unwrap_or(usual.idle_time),
        body: value(&typed.body).map(|number| number.0),
        body_idle: value(&typed.body_idle).unwrap_or(usual.body_idle),
        answer_time: value(&typed.answer_time),
    }
}
