//! Mainstay's own DNS server and Knot, side by side in one run, without signatures and with them
//! (DNSSEC): dnsperf asks all the same questions with the same clients, in turn. It judges no figure;
//! but an answer that is not NOERROR ends the run.

use mainstay_core::estate::{
    Application, CoordinatorPlace, DnsKind, DnsZone, Estate, FailoverMode, Objectives, OwnServer,
    Policy, PublishedName, TlsFiles,
};
use mainstay_core::people::Force;
use mainstay_core::{ApplicationName, Epoch, SiteName};
use mainstay_testkit::{DNS_ZONE, DnsKind as Rival, DnsServer, dig, free_port, wait_for};
use mainstay_traffic::dns::server::{self, Active, ServerSpec, SigningKey};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// What a step of the benchmark gives; the first error ends the run.
type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

const NAME: &str = "other.example.org";
/// With it this program is the server that is measured.
const PORT: &str = "MAINSTAY_BENCH_DNS_PORT";
const ROUNDS: usize = 5;
const SIGNED: &str = "with signatures";

fn main() -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match std::env::var(PORT) {
        Ok(port) => runtime.block_on(serve(port.parse()?)),
        Err(_) => runtime.block_on(measure(std::env::args().any(|word| word == "--quick"))),
    }
}

async fn measure(quick: bool) -> Outcome<()> {
    let seconds = if quick { 1 } else { 5 };
    let folder = tempfile::tempdir()?;
    let questions = folder.path().join("questions");
    std::fs::write(&questions, format!("{NAME} A\n"))?;
    let knot = DnsServer::start(Rival::Knot);
    let ours = Ours::start().await?;
    compare("without signatures", [ours.at, knot.address().parse()?], &questions, seconds)?;
    // Knot has signed its zone when it read it.
    let knot = DnsServer::signing();
    for at in [ours.at, knot.address().parse()?] {
        if !dig(at, &["+dnssec", NAME, "A"]).contains("RRSIG") {
            return Err(format!("{at} does not sign").into());
        }
    }
    compare(SIGNED, [ours.at, knot.address().parse()?], &questions, seconds)
}

/// The rates of ours and of Knot.
fn compare(how: &str, at: [SocketAddr; 2], questions: &Path, seconds: u32) -> Outcome<()> {
    let mut rates = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (rates, at) in rates.iter_mut().zip(at) {
            rates.push(load(at, questions, seconds, how == SIGNED)?);
        }
    }
    let [mut ours, mut knot] = rates;
    println!("questions a second, {ROUNDS} rounds of {seconds} s each, in turn: {NAME} A, {how}");
    println!("  Mainstay {ours:.0?}\n  Knot     {knot:.0?}");
    let (ours, knot) = (median(&mut ours), median(&mut knot));
    println!("  medians: Mainstay {ours:.0}, Knot {knot:.0}: {:.2} of Knot's", ours / knot);
    Ok(())
}

fn median(rates: &mut [f64]) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

/// Questions answered a second.
fn load(at: SocketAddr, questions: &Path, seconds: u32, signed: bool) -> Outcome<f64> {
    let (ip, port, seconds) = (at.ip().to_string(), at.port().to_string(), seconds.to_string());
    let mut command = Command::new("dnsperf");
    command.args(["-s", &ip, "-p", &port, "-l", &seconds, "-c", "8", "-q", "400", "-d"]);
    command.arg(questions);
    if signed {
        command.arg("-D");
    }
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let after = |key: &str| text.lines().find_map(|line| line.trim().strip_prefix(key));
    let codes = after("Response codes:").ok_or_else(|| format!("dnsperf says:\n{text}"))?;
    if !codes.trim().starts_with("NOERROR") || codes.contains(',') {
        return Err(format!("an answer that is none: {codes}").into());
    }
    Ok(after("Queries per second:").ok_or("no rate")?.trim().parse()?)
}

/// In a process of its own, as Knot is.
struct Ours {
    at: SocketAddr,
    process: Child,
}

impl Ours {
    async fn start() -> Outcome<Self> {
        let port = free_port();
        let process = Command::new(std::env::current_exe()?).env(PORT, port.to_string()).spawn()?;
        let ours = Self { at: SocketAddr::from(([127, 0, 0, 1], port)), process };
        wait_for("the server answers", Duration::from_secs(10), async || {
            dig(ours.at, &[NAME, "A"]).contains("192.0.2.99")
        })
        .await;
        Ok(ours)
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        // It has no state worth an end of its own.
        let _gone = self.process.kill().and_then(|()| self.process.wait());
    }
}

async fn serve(port: u16) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let site = SiteName::new("east")?;
    let bank = ApplicationName::new("bank")?;
    let key = folder.path().join("key");
    SigningKey::create(&key, DNS_ZONE)?;
    let estate = estate(&site, &bank, SocketAddr::from(([127, 0, 0, 1], port)), key)?;
    let spec = ServerSpec::from_estate(&estate, folder.path())?.ok_or("no server here")?;
    let active = Active { epoch: Epoch::new(1), site, away: BTreeSet::new() };
    let told = watch::Sender::new(Some(active));
    Ok(server::run(spec, vec![(bank, told.subscribe())], CancellationToken::new()).await?)
}

fn estate(
    site: &SiteName,
    bank: &ApplicationName,
    listen: SocketAddr,
    key: PathBuf,
) -> Outcome<Estate> {
    let own = OwnServer {
        listen,
        name: format!("ns1.{DNS_ZONE}"),
        addresses: vec!["127.0.0.1".parse()?],
    };
    let zone = DnsZone {
        zone: DNS_ZONE.to_owned(),
        kind: DnsKind::Own {
            contact: format!("hostmaster.{DNS_ZONE}"),
            at: [(site.clone(), own)].into(),
            signing_keys: vec![key],
        },
        servers: vec![listen.to_string()],
        resolvers: Vec::new(),
    };
    let published = PublishedName {
        zone: DNS_ZONE.to_owned(),
        ttl: Duration::from_secs(300),
        addresses: [(site.clone(), vec!["192.0.2.99".parse()?])].into(),
        policy: Policy::Failover,
        health_checks: BTreeMap::new(),
    };
    let long = Duration::from_secs(600);
    let application = Application {
        name: bank.clone(),
        home: site.clone(),
        failover: FailoverMode::Manual,
        force: Force::One,
        approvals_expire: long,
        objectives: Objectives { rto: long, rpo: long },
        lease: Duration::from_secs(10),
        cool_down: long,
        fencing: BTreeMap::new(),
        fence_after: long,
        stores: BTreeMap::new(),
        gates: BTreeMap::new(),
        names: [(NAME.to_owned(), published)].into(),
        runbooks: Default::default(),
        probes: BTreeMap::new(),
    };
    let file = || "none".into();
    Ok(Estate {
        here: site.clone(),
        sites: BTreeMap::new(),
        coordinator: CoordinatorPlace::Embedded { site: site.clone() },
        tls: TlsFiles { authority: file(), certificate: file(), key: file() },
        dns: [(DNS_ZONE.to_owned(), zone)].into(),
        people: None,
        applications: [(bank.clone(), application)].into(),
        alerts: BTreeMap::new(),
    })
}
