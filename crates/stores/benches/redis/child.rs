//! The process that runs one link and nothing else. It ends when its input does.

use super::Outcome;
use mainstay_core::estate::{RedisEndpoint, RedisTls};
use mainstay_core::{ApplicationName, Epoch, SiteName, StoreName};
use mainstay_stores::redis::link::{self, LinkSpec};

pub fn run(source: u16, target: u16) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let endpoint = |port| RedisEndpoint {
        host: "127.0.0.1".to_owned(),
        port,
        user: None,
        password: None,
        tls: RedisTls::Disable,
    };
    let spec = LinkSpec {
        application: ApplicationName::try_from("bench".to_owned())?,
        store: StoreName::try_from("cache".to_owned())?,
        from: SiteName::try_from("east".to_owned())?,
        to: SiteName::try_from("west".to_owned())?,
        source: endpoint(source),
        target: endpoint(target),
        epoch: Epoch::new(1),
        exclude: vec![],
        readers: vec![],
        replace: false,
    };
    runtime.block_on(async {
        let link = link::start(spec);
        let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()));
        ended.await??;
        link.stop().await;
        Ok(())
    })
}
