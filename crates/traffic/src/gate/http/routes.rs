//! Which upstreams a request goes to, by its host and its path.

use super::headers::Head;
use super::upstreams::Upstreams;
use crate::gate::spec::HttpSpec;
use mainstay_core::estate::WebRoute;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Debug)]
pub struct Routes {
    /// The most particular first.
    routes: Vec<(WebRoute, Arc<Upstreams>)>,
    /// For what fits no route.
    rest: Arc<Upstreams>,
}

impl Routes {
    pub fn new(http: Option<&HttpSpec>) -> Self {
        let Some(http) = http else {
            return Self {
                routes: Vec::new(),
                rest: Arc::new(Upstreams::new(&[], <_>::default())),
            };
        };
        let rest = Arc::new(Upstreams::new(&http.upstreams, http.options.rules.clone()));
        let groups = http.options.groups.iter().map(|(name, group)| {
            (name, Arc::new(Upstreams::new(&group.upstreams, group.rules.clone())))
        });
        let groups: BTreeMap<_, _> = groups.collect();
        let routes = http.options.routes.iter();
        let mut routes: Vec<_> = routes
            .filter_map(|route| Some((route.clone(), Arc::clone(groups.get(&route.group)?))))
            .collect();
        routes.sort_by_key(|(route, _)| Reverse(particular(route)));
        Self { routes, rest }
    }

    pub fn of(&self, head: &Head) -> &Upstreams {
        let fits = self.routes.iter().find(|(route, _)| {
            host_fits(route.host.as_deref(), head.host())
                && path_fits(&route.path, head.target.path())
        });
        fits.map_or(&self.rest, |(_, upstreams)| upstreams)
    }

    /// Every group once.
    pub fn groups(&self) -> impl Iterator<Item = &Arc<Upstreams>> {
        let mut seen: Vec<&Arc<Upstreams>> = Vec::new();
        let all = std::iter::once(&self.rest).chain(self.routes.iter().map(|(_, group)| group));
        all.filter(move |group| {
            let new = !seen.iter().any(|one| Arc::ptr_eq(one, group));
            seen.push(group);
            new
        })
    }
}

/// A whole host before a domain, a longer domain before a shorter; then the longer path.
fn particular(route: &WebRoute) -> (bool, usize, usize) {
    let host = route.host.as_deref().unwrap_or_default();
    (!host.is_empty() && !host.starts_with("*."), host.len(), route.path.len())
}

fn host_fits(pattern: Option<&str>, host: &str) -> bool {
    match pattern {
        None => true,
        Some(pattern) => match pattern.strip_prefix('*') {
            // `.bank.example`
            Some(domain) => {
                let cut = host.len().checked_sub(domain.len()).filter(|cut| *cut > 0);
                cut.and_then(|cut| host.get(cut..))
                    .is_some_and(|end| end.eq_ignore_ascii_case(domain))
            }
            None => host.eq_ignore_ascii_case(pattern),
        },
    }
}

fn path_fits(prefix: &str, path: &str) -> bool {
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_whole_segments_fit() {
        assert!(host_fits(Some("api.bank.example"), "API.bank.example"));
        assert!(host_fits(Some("*.bank.example"), "a.b.bank.example"));
        for other in ["bank.example", "bank.example.evil", "xbank.example", ".bank.example"] {
            assert!(!host_fits(Some("*.bank.example"), other), "{other}");
        }
        for (prefix, path, fits) in [
            ("/", "/x", true),
            ("/api", "/api", true),
            ("/api", "/api/x", true),
            ("/api/", "/api", true),
            ("/api", "/apis", false),
            ("/api/v1", "/api", false),
            ("/", "*", false),
        ] {
            assert_eq!(path_fits(prefix, path), fits, "{prefix} {path}");
        }
    }
}
