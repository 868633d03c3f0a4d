//! Messages, certificates, and notifiers that were configured.

use mainstay_alerts::alert::Loss;
use mainstay_alerts::{Alert, Message, SendError, Sender, Status};
use mainstay_core::notifier::{HttpTarget, HttpUrl, Notifier, NotifierKind};
use mainstay_core::{AlertSeverity, ApplicationName, NotifierName, SiteName};
use mainstay_testkit::Certificate;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Once for the process, as `main` does it.
pub fn install_tls() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

pub fn sender(kind: NotifierKind) -> Sender {
    install_tls();
    let spec = Notifier {
        kind,
        applications: BTreeSet::new(),
        least: AlertSeverity::Info,
        every: Some(Duration::from_secs(60)),
    };
    let name = NotifierName::new("hook").expect("a name");
    Sender::new(&name, &spec).unwrap_or_else(|why| panic!("{why}"))
}

pub async fn failed(sender: &Sender, message: &Message) -> String {
    let sent: Result<(), SendError> = sender.send(message).await;
    sent.expect_err("it fails").to_string()
}

pub fn target(url: &str, authority: Option<PathBuf>) -> HttpTarget {
    HttpTarget { url: HttpUrl::parse(url).expect("a URL"), authority }
}

pub fn message(status: Status) -> Message {
    let alert = Alert {
        application: ApplicationName::new("bank").expect("a name"),
        kind: "link-stopped".to_owned(),
        subject: "db from east to west".to_owned(),
        severity: AlertSeverity::Critical,
        site: SiteName::new("west").expect("a name"),
        what: "the link of db stopped: \"; $(touch /tmp/pwned) ünïcode".to_owned(),
        advice: "see MS-PG-203".to_owned(),
        loss: Loss::AtMost(Duration::from_millis(1500)),
    };
    let since_micros = now() - 60_000_000;
    let ended_micros = (status == Status::Ended).then(now);
    Message { alert, status, since_micros, ended_micros, count: 1, left_out: 0 }
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(now.as_micros()).expect("before the year 294247")
}

/// The file of an authority, and a certificate for a name that it signed.
pub fn certificate(name: &str, folder: &Path) -> (PathBuf, Certificate) {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let authority = CertifiedIssuer::self_signed(params, key).expect("an authority");
    let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    let key = KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, &authority).expect("a certificate");
    let write = |file: &str, text: String| {
        let path = folder.join(file);
        std::fs::write(&path, text).expect("a file");
        path
    };
    let own = (write("certificate.pem", certificate.pem()), write("key.pem", key.serialize_pem()));
    (write("authority.pem", authority.pem()), own)
}
