//! One key replaces another, with a real parent zone: its DS record leads a resolver to the key.

use super::super::{EAST, NAME, Server, ZONE, addresses};
use super::{LONG, says};
use mainstay_core::estate::Policy;
use mainstay_testkit::{DnsServer, wait_for};

struct World {
    server: Server,
    parent: DnsServer,
    resolver: DnsServer,
}

impl World {
    /// The parent vouches for this key, and for no other.
    fn vouch(&self, ds: &str) {
        let lines = ["zone org", "update delete example.org. DS", &format!("update add {ds}")];
        self.parent.nsupdate(&lines);
    }

    /// Positive and negative answers, each secure.
    fn secure(&self) {
        for (name, kind, code) in
            [(NAME, "A", "NOERROR"), (NAME, "MX", "NOERROR"), ("no.example.org", "A", "NXDOMAIN")]
        {
            let said = self.resolver.ask(&[name, kind]);
            says(&said, &[&format!("status: {code}"), "flags: qr rd ra ad;"]);
        }
    }

    /// Until the resolver has forgotten what it knew before; secure all along.
    async fn sees(&self, kind: &str, what: impl Fn(&[String]) -> bool) {
        wait_for("the resolver sees it", LONG, async || {
            self.secure();
            what(&self.resolver.dig(ZONE, kind))
        })
        .await;
        self.secure();
    }
}

fn tag(ds: &str) -> &str {
    ds.split(' ').nth(4).expect("a tag")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_replaces_another_and_every_answer_is_secure_all_along() {
    let mut server = Server::start_with(Policy::Failover, addresses(EAST)).await;
    let (first, ds_of_first) = server.new_key("first");
    let (second, ds_of_second) = server.new_key("second");
    server.sign_with(&[&first]).await;
    server.lead(1, "east").await;
    let parent = DnsServer::parent();
    let org = parent.address().parse().expect("an address");
    let anchor = parent.anchor();
    let resolver = DnsServer::validating(&[("org", org), (ZONE, server.at)], &anchor);
    let mut world = World { server, parent, resolver };
    // Before the parent knows of the key the zone is as if it was not signed.
    says(&world.resolver.ask(&[NAME, "A"]), &["status: NOERROR", "flags: qr rd ra;", EAST[0]]);
    world.vouch(&ds_of_first);
    wait_for("the zone is secure", LONG, async || {
        world.resolver.ask(&[NAME, "A"]).contains("flags: qr rd ra ad;")
    })
    .await;
    world.secure();

    world.server.sign_with(&[&first, &second]).await;
    world.server.lead(1, "east").await;
    world.sees("DNSKEY", |keys| keys.len() == 2).await;
    world.vouch(&ds_of_second);
    world.sees("DS", |ds| ds.len() == 1 && ds[0].starts_with(tag(&ds_of_second))).await;
    world.server.sign_with(&[&second]).await;
    world.server.lead(1, "east").await;
    world.sees("DNSKEY", |keys| keys.len() == 1).await;

    // The first one is worth nothing any more.
    world.server.sign_with(&[&first]).await;
    world.server.lead(1, "east").await;
    wait_for("the resolver refuses it", LONG, async || {
        world.resolver.ask(&[NAME, "A"]).contains("status: SERVFAIL")
    })
    .await;
}
