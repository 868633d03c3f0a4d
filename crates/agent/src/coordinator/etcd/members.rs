//! How each member is: for people, never for a decision.

use super::cluster::Cluster;
use super::trouble::Trouble;
use super::wire::{
    Answer, MembersAnswer, RangeAnswer, RangeQuestion, StatusAnswer, TxnAnswer, TxnQuestion,
};
use crate::coordinator::CoordinatorError;
use crate::error::AgentError;
use futures::future::join_all;
use mainstay_core::{Finding, Severity, estate};
use serde::{Deserialize, Serialize};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_millis(1500);

/// One member, as it answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub endpoint: String,
    /// Its version; none while it does not answer.
    pub version: Option<String>,
    pub leads: bool,
    /// Whether it knows a leader: without one it can neither read nor write.
    pub has_leader: bool,
    /// Why it does not answer, or what it complains of.
    pub trouble: Option<String>,
}

impl Member {
    pub fn works(&self) -> bool {
        self.version.is_some() && self.has_leader
    }
}

pub async fn look(cluster: &Cluster) -> Vec<Member> {
    let asked = cluster.endpoints().map(|(index, endpoint)| async move {
        member(endpoint, cluster.status(index, PATIENCE).await)
    });
    join_all(asked).await
}

fn member(endpoint: &estate::EtcdEndpoint, answer: Result<StatusAnswer, Trouble>) -> Member {
    let endpoint = endpoint.to_string();
    match answer {
        Ok(status) => Member {
            endpoint,
            leads: status.leader != 0 && status.leader == status.header().member_id,
            has_leader: status.leader != 0,
            version: Some(status.version),
            trouble: (!status.errors.is_empty()).then(|| status.errors.join("; ")),
        },
        Err(why) => {
            let (version, leads, has_leader) = (None, false, false);
            Member { endpoint, version, leads, has_leader, trouble: Some(why.to_string()) }
        }
    }
}

/// What stands in the way of using this etcd; reads and changes nothing.
pub async fn inspect(etcd: &estate::Etcd) -> Result<Vec<Finding>, AgentError> {
    let cluster = Cluster::new(etcd)?;
    // First: by what a majority answers, it is known which cluster is ours.
    let rights = rights(&cluster, &etcd.prefix).await;
    let members = look(&cluster).await;
    let working = members.iter().filter(|member| member.works()).count();
    let majority = working * 2 > members.len();
    let mut found: Vec<Finding> =
        members.iter().flat_map(|member| of_member(member, majority)).collect();
    if majority {
        found.extend(rights);
        found.extend(members_of(&cluster, members.len()).await);
    }
    Ok(found)
}

fn of_member(member: &Member, majority: bool) -> Vec<Finding> {
    let place = format!("coordinator {}", member.endpoint);
    let Some(version) = &member.version else {
        let finding = if majority { Finding::warning } else { Finding::error };
        let what = member.trouble.clone().unwrap_or_default();
        let advice = "start it, or mend the way to it and its certificate; a majority of the \
                      members must answer";
        return vec![finding("MS-COORD-005", place, what, advice)];
    };
    if !member.has_leader {
        let what = "it knows no leader: it does not reach a majority of the members".to_owned();
        let advice = "mend the way from this member to the others: etcdctl endpoint status \
                      --cluster";
        return vec![Finding::error("MS-COORD-005", place, what, advice)];
    }
    let age = age(version).map(|(severity, what)| Finding {
        severity,
        ..Finding::error("MS-COORD-006", &place, what, "upgrade etcd")
    });
    let advice = "etcdctl alarm list; docs/guides/etcd.md tells how to make room";
    let alarm =
        member.trouble.as_ref().map(|what| Finding::error("MS-COORD-004", &place, what, advice));
    age.into_iter().chain(alarm).collect()
}

/// etcd's own notices: the gateway's `/v3` came with 3.4; 3.5.0 to 3.5.2 can become inconsistent
/// when a member is killed under load.
fn age(version: &str) -> Option<(Severity, String)> {
    let numbers: Vec<u32> = version.split('.').map_while(|part| part.parse().ok()).collect();
    let said = |what: &str| format!("etcd {version}: {what}");
    match numbers.as_slice() {
        [major, minor, ..] if (*major, *minor) < (3, 4) => {
            Some((Severity::Error, said("Mainstay needs 3.4 or newer")))
        }
        [3, 5, 0..=2] => {
            let what = "a member of 3.5.0 to 3.5.2 that is killed may lose consistency";
            Some((Severity::Warning, said(what)))
        }
        _ => None,
    }
}

/// Whether this user may read and write where the records are.
async fn rights(cluster: &Cluster, prefix: &str) -> Option<Finding> {
    let key = || format!("{prefix}/mainstay-check");
    let read = cluster.ask::<RangeAnswer>("/v3/kv/range", &RangeQuestion { key: key() }).await;
    let tried = match read {
        Ok(_) => cluster.ask::<TxnAnswer>("/v3/kv/txn", &TxnQuestion::never(key())).await.map(drop),
        Err(why) => Err(why),
    };
    let what = match tried {
        Ok(()) => return None,
        Err(CoordinatorError::Silent(why) | CoordinatorError::Refused(why)) => why,
        Err(CoordinatorError::Unusable(why)) => why,
    };
    let advice = "docs/guides/etcd.md shows the user, the role and the certificates";
    Some(Finding::error("MS-COORD-004", "coordinator", what, advice))
}

async fn members_of(cluster: &Cluster, written: usize) -> Option<Finding> {
    let question = serde_json::json!({});
    let asked = cluster.ask::<MembersAnswer>("/v3/cluster/member/list", &question).await.ok()?;
    let count = asked.answer.members.len();
    if count == written {
        return None;
    }
    let what = format!("the cluster has {count} members, and {written} endpoints are written");
    let advice = "write the address of each member under [coordinator], or remove the member that \
                  is gone: etcdctl member remove";
    Some(Finding::warning("MS-COORD-007", "coordinator", what, advice))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_that_cannot_be_trusted_are_named() {
        assert!(matches!(age("3.3.27"), Some((Severity::Error, _))));
        assert!(matches!(age("3.5.1"), Some((Severity::Warning, _))));
        for good in ["3.4.23", "3.5.3", "3.5.21", "3.6.0"] {
            assert_eq!(age(good), None, "{good}");
        }
    }
}
