//! Published names at Route 53 (moto, held to its documentation) and at fakes of Cloudflare and of
//! Azure DNS. What stands there is what Amazon's own client and `curl` read.

mod azure;
mod cloudflare;
mod route53;

use mainstay_core::notifier::HttpUrl;
use mainstay_core::{ApplicationName, Epoch, SiteName};
use mainstay_testkit::wait_for_value;
use mainstay_traffic::dns::{DnsError, Note, Published, Publisher, Wanted};
use std::net::IpAddr;
use std::time::Duration;

/// Longer than an API asks anybody to wait.
const PATIENCE: Duration = Duration::from_secs(120);

const NAME: &str = "bank.example.org";
const EAST: &[&str] = &["192.0.2.10", "192.0.2.11"];
const WEST: &[&str] = &["198.51.100.20", "2001:db8::20"];

/// Who holds the zone.
trait Holder: Sync {
    fn publisher(&self) -> Publisher;
    fn publisher_with(&self, secret: &str) -> Publisher;
    /// `ok`, `throttle` or `fail`.
    fn answer(&self, mode: &str);
    /// Every address of the name, sorted.
    fn addresses(&self) -> Vec<String>;
    /// What its note says, in quotes.
    fn notes(&self) -> Vec<String>;
    /// As another site's agent would, whatever stands there.
    fn overtake(&self, note: &str, address: &str);
}

fn url(text: &str) -> HttpUrl {
    HttpUrl::parse(text).expect("a URL")
}

fn wanted(epoch: u64, site: &str, addresses: &[&str]) -> Wanted {
    let addresses = addresses.iter().map(|text| text.parse::<IpAddr>().expect("an address"));
    Wanted {
        signed: false,
        name: NAME.to_owned(),
        ttl: Duration::from_secs(60),
        addresses: addresses.collect(),
        any: false,
        shares: Vec::new(),
        note: Note {
            application: ApplicationName::new("bank").expect("a name"),
            epoch: Epoch::new(epoch),
            site: SiteName::new(site).expect("a name"),
        },
    }
}

fn text(epoch: u64, site: &str) -> String {
    format!("\"v=mainstay1 application=bank epoch={epoch} site={site}\"")
}

async fn told(holder: &impl Holder, wanted: &Wanted) -> Result<Published, DnsError> {
    holder.publisher().publish(wanted, || true).await
}

async fn a_name_follows_the_active_site(holder: impl Holder) {
    assert_eq!(told(&holder, &wanted(1, "east", EAST)).await, Ok(Published::Changed));
    assert_eq!(holder.addresses(), EAST);
    assert_eq!(holder.notes(), [text(1, "east")]);
    assert_eq!(told(&holder, &wanted(1, "east", EAST)).await, Ok(Published::AsItWas));
    assert_eq!(told(&holder, &wanted(2, "west", WEST)).await, Ok(Published::Changed));
    assert_eq!(holder.addresses(), WEST);
    assert_eq!(holder.notes(), [text(2, "west")]);
    // No server of the zone can be asked here: what the API tells is the answer, and says so.
    let answers = holder.publisher().answers(NAME).await;
    let [(from, Ok(answer))] = &*answers else { panic!("{answers:?}") };
    assert!(from.contains("API") && from.contains("no server of the zone"), "{from}");
    assert!(answer.is(&wanted(2, "west", WEST)), "{answer:?}");
}

async fn nothing_stale_is_written(holder: impl Holder) {
    told(&holder, &wanted(7, "west", WEST)).await.expect("it is taken");
    let stale = told(&holder, &wanted(6, "east", EAST)).await;
    assert!(matches!(stale, Err(DnsError::Stale { .. })), "{stale:?}");
    let disputed = told(&holder, &wanted(7, "east", EAST)).await;
    assert!(matches!(disputed, Err(DnsError::Stale { .. })), "{disputed:?}");
    let inactive = holder.publisher().publish(&wanted(8, "east", EAST), || false).await;
    assert!(matches!(inactive, Err(DnsError::NotActive { .. })), "{inactive:?}");
    assert_eq!(holder.addresses(), WEST);
    assert_eq!(holder.notes(), [text(7, "west")]);
}

/// The other one writes between this one's look and its change.
async fn of_two_at_once_the_newer_epoch_stays(holder: impl Holder) {
    told(&holder, &wanted(1, "east", EAST)).await.expect("it is taken");
    let newer = text(3, "west");
    let meanwhile = || {
        holder.overtake(&newer, WEST[0]);
        true
    };
    let late = holder.publisher().publish(&wanted(2, "east", EAST), meanwhile).await;
    assert!(matches!(late, Err(DnsError::Contended { .. })), "{late:?}");
    assert_eq!(holder.addresses(), WEST[..1]);
    assert_eq!(holder.notes(), [newer]);
}

async fn an_api_that_is_down_or_asks_for_patience_is_tried_again(holder: impl Holder) {
    told(&holder, &wanted(1, "east", EAST)).await.expect("it is taken");
    holder.answer("fail");
    let down = told(&holder, &wanted(2, "west", WEST)).await;
    assert!(matches!(down, Err(DnsError::ApiSilent { .. })), "{down:?}");
    holder.answer("throttle");
    let publisher = holder.publisher();
    let asked = publisher.publish(&wanted(2, "west", WEST), || true).await;
    assert!(matches!(asked, Err(DnsError::Throttled { .. })), "{asked:?}");
    holder.answer("ok");
    // The same agent waits for as long as it was asked to, and then goes on by itself.
    let last = wait_for_value("the API is asked again", PATIENCE, async || {
        let last = publisher.publish(&wanted(2, "west", WEST), || true).await;
        (!matches!(last, Err(DnsError::Throttled { .. }))).then_some(last)
    })
    .await;
    assert_eq!(last, Ok(Published::Changed));
    assert_eq!(holder.addresses(), WEST);
}

async fn who_has_not_the_key_changes_nothing(holder: impl Holder) {
    let wrong = holder.publisher_with("canary-of-a-wrong-key");
    let refused = wrong.publish(&wanted(1, "east", EAST), || true).await;
    let Err(why @ DnsError::ApiRefused { .. }) = refused else { panic!("{refused:?}") };
    assert!(!why.to_string().contains("canary"), "{why}");
    assert_eq!(holder.addresses(), [""; 0]);
}

macro_rules! on {
    ($holder:expr => $($case:ident)+) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                crate::dns_providers::$case($holder).await;
            }
        )+
    };
}

macro_rules! on_each {
    ($holder:expr) => {
        crate::dns_providers::on! { $holder =>
            a_name_follows_the_active_site
            nothing_stale_is_written
            of_two_at_once_the_newer_epoch_stays
            an_api_that_is_down_or_asks_for_patience_is_tried_again
            who_has_not_the_key_changes_nothing
        }
    };
}

use {on, on_each};
