//! What a person would ask of etcd, with etcd's own tool.

use super::stage::Stage;
use crate::error::{Doing, LabError};
use crate::processes::HOME;
use serde_json::Value;

/// As the member at `site` is asked; a person's commands do not depend on any other member.
pub async fn etcdctl(stage: &Stage, site: &str, words: &[&str]) -> Result<String, LabError> {
    let (plan, folder) = (&stage.lab.plan, &stage.lab.folder);
    let tls = folder.tls(HOME);
    let member = plan.site(site)?.etcd.as_ref().map(|it| format!("https://{}", it.client));
    let program = plan.etcd.clone().unwrap_or_default().join("bin/etcdctl");
    let mut command = tokio::process::Command::new(program);
    command.arg("--endpoints").arg(member.unwrap_or_default());
    command.arg("--cacert").arg(tls.join("ca.pem")).arg("--cert").arg(tls.join("east.pem"));
    command.arg("--key").arg(tls.join("east.key")).args(words).kill_on_drop(true);
    let doing = || format!("run etcdctl {}", words.join(" "));
    let output = command.output().await.doing(doing)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(std::io::Error::other(said)).doing(doing)
}

/// Its own number, and that of the member that it takes for the leader.
async fn numbers(stage: &Stage, site: &str) -> Result<(u64, u64), LabError> {
    let told = etcdctl(stage, site, &["endpoint", "status", "--write-out", "json"]).await?;
    let told: Value = serde_json::from_str(&told).doing(|| "read etcd's status".to_owned())?;
    let number = |it: &Value| it.as_u64().unwrap_or_default();
    let status = &told[0]["Status"];
    Ok((number(&status["header"]["member_id"]), number(&status["leader"])))
}

pub async fn leader(stage: &Stage) -> Result<&'static str, LabError> {
    for site in Stage::all_sites() {
        let (own, leader) = numbers(stage, site).await?;
        if own == leader && own != 0 {
            return Ok(site);
        }
    }
    Err(std::io::Error::other("none")).doing(|| "find etcd's leader".to_owned())
}

/// Returns once that site's member leads.
pub async fn lead_from(stage: &Stage, site: &str) -> Result<(), LabError> {
    stage
        .until("etcd's leader moves", async |stage| {
            let (number, now) = (numbers(stage, site).await?.0, leader(stage).await?);
            if now != site {
                // It may fail on a busy machine; then it is asked again.
                etcdctl(stage, now, &["move-leader", &format!("{number:x}")]).await?;
            }
            Ok(now == site)
        })
        .await
}
