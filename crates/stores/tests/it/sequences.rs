//! After a promotion no sequence issues a value twice.

use crate::sites::Site;
use mainstay_stores::postgres::sequences::{self, HEADROOM};

const LINK: &str = "bank/db/east->west";

const SEQUENCES: &str = "
    CREATE SEQUENCE plain; CREATE SEQUENCE \"Odd.Name\" INCREMENT 5; CREATE SEQUENCE down INCREMENT -2;
    CREATE SEQUENCE small AS smallint; CREATE SEQUENCE ring MAXVALUE 100 CYCLE; CREATE SEQUENCE ahead;
    CREATE SEQUENCE untouched";

async fn seen(site: &Site, name: &str, last: i64) {
    let sql = format!(
        "INSERT INTO mainstay.sequence VALUES ('{LINK}', 'public', '{name}', {last}, true)"
    );
    site.run(&sql).await;
}

async fn next(site: &Site, name: &str) -> String {
    site.text(&format!("SELECT nextval('{name}')::text")).await
}

#[tokio::test]
async fn a_promoted_site_goes_on_beyond_all_that_the_lost_one_can_have_issued() {
    let site = Site::start(SEQUENCES).await;
    for (name, last) in [
        ("plain", 500),
        ("Odd.Name", 51),
        ("down", -7),
        ("small", 32_000),
        ("ring", 90),
        ("ahead", 3),
    ] {
        seen(&site, name, last).await;
    }
    seen(&site, "nobody", 1).await;
    site.run("SELECT setval('ahead', 1000000)").await;
    let bumped = sequences::bump(&site.endpoint, LINK, HEADROOM).await.unwrap();
    assert_eq!(bumped.moved, 5);
    assert_eq!(next(&site, "plain").await, "10501");
    assert_eq!(next(&site, "\"Odd.Name\"").await, "50056");
    assert_eq!(next(&site, "down").await, "-20009");
    assert_eq!(next(&site, "ahead").await, "1000001", "never back");
    assert_eq!(next(&site, "untouched").await, "1");
    let codes: Vec<_> =
        bumped.findings.iter().map(|f| (f.code.as_str(), f.place.clone())).collect();
    let of = |name: &str| codes.iter().find(|(_, place)| place.contains(name)).unwrap().0;
    assert_eq!(codes.len(), 3, "{codes:?}");
    assert_eq!((of("small"), of("ring"), of("nobody")), ("MS-PG-131", "MS-PG-131", "MS-PG-130"));
    let again = sequences::bump(&site.endpoint, LINK, HEADROOM).await.unwrap();
    assert_eq!(again.moved, 0, "doing it twice is doing it once");
}

#[tokio::test]
async fn a_planned_switch_goes_on_exactly_where_the_source_stopped() {
    let (source, target) = tokio::join!(Site::start(SEQUENCES), Site::start(SEQUENCES));
    source.run("SELECT nextval('plain'), nextval('plain'), setval('small', 7, false)").await;
    source.run("SELECT nextval('down')").await;
    target.run("SELECT setval('ahead', 50)").await;
    let copied = sequences::copy_exact(&source.endpoint, &target.endpoint).await.unwrap();
    assert_eq!(copied, 3);
    assert_eq!(next(&target, "plain").await, "3");
    assert_eq!(next(&target, "small").await, "7");
    assert_eq!(next(&target, "down").await, "-3");
    assert_eq!(next(&target, "ahead").await, "51", "never back");
    source.run("CREATE SEQUENCE more").await;
    let error = sequences::copy_exact(&source.endpoint, &target.endpoint).await.err().unwrap();
    assert_eq!(error.code(), "MS-PG-130", "{error}");
}
