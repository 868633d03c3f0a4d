//! One site's member of etcd.

use super::child::Spec;
use super::folder::Folder;
use super::plan::LabPlan;
use crate::error::LabError;
use std::ffi::OsString;
use std::net::SocketAddr;

/// How the member of a site is started, and where it listens for clients; none when the coordinator
/// is embedded.
pub fn member_spec(
    plan: &LabPlan,
    folder: &Folder,
    site: &str,
) -> Result<Option<(Spec, SocketAddr)>, LabError> {
    let (Some(etcd), Some(member)) = (&plan.etcd, &plan.site(site)?.etcd) else { return Ok(None) };
    let url = |address: SocketAddr| format!("https://{address}");
    let cluster = plan.members().map(|(name, it)| format!("{name}={}", url(it.known_as)));
    let cluster: Vec<String> = cluster.collect();
    let tls = folder.tls(site);
    let file = |name: &str| OsString::from(tls.join(name));
    let settings: [(&str, OsString); 13] = [
        ("--name", site.into()),
        ("--data-dir", folder.etcd_data(site).into()),
        ("--initial-cluster", cluster.join(",").into()),
        ("--initial-advertise-peer-urls", url(member.known_as).into()),
        ("--listen-peer-urls", url(member.peer).into()),
        ("--listen-client-urls", url(member.client).into()),
        ("--advertise-client-urls", url(member.client).into()),
        ("--cert-file", file("etcd.pem")),
        ("--key-file", file("etcd.key")),
        ("--trusted-ca-file", file("ca.pem")),
        ("--peer-cert-file", file("etcd.pem")),
        ("--peer-key-file", file("etcd.key")),
        ("--peer-trusted-ca-file", file("ca.pem")),
    ];
    let arguments = settings.into_iter().flat_map(|(name, value)| [name.into(), value]);
    let proxy = member.door.map(|door| ("HTTPS_PROXY".to_owned(), format!("http://{door}").into()));
    let spec = Spec {
        name: format!("{site}-etcd"),
        space: plan.space(site),
        program: etcd.join("bin/etcd"),
        arguments: arguments.chain(["--client-cert-auth".into()]).collect(),
        environment: proxy.into_iter().collect(),
        user: None,
        current_dir: folder.site(site),
    };
    Ok(Some((spec, member.client)))
}
