//! The called end of the tunnel.

use super::hello::{Answer, Hello, Target};
use super::tls;
use crate::gate::http::{Origin, Proxy};
use crate::gate::shared::{Kind, Pass, Shared};
use crate::gate::tcp::Stores;
use crate::gate::wire::Wire;
use crate::line;
use mainstay_core::SiteName;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

pub struct PeerServer {
    pub shared: Arc<Shared>,
    pub acceptor: TlsAcceptor,
    pub proxy: Arc<Proxy>,
    pub stores: Arc<Stores>,
}

impl PeerServer {
    /// One tunnel from its handshake to its end.
    pub async fn serve(
        self: Arc<Self>,
        stream: TcpStream,
        from: SocketAddr,
        shutdown: CancellationToken,
    ) {
        let began = tokio::time::timeout(self.shared.spec.limits.head_time, self.begin(stream));
        match began.await.map_err(io::Error::from).flatten() {
            Ok(Some((wire, site, hello))) => self.pass_on(wire, site, hello, shutdown).await,
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(code = "MS-GATE-020", %from, %error, "a tunnel is refused");
            }
        }
    }

    /// None when the other gate only wanted to know whether this one is there.
    async fn begin(&self, stream: TcpStream) -> io::Result<Option<(Wire, SiteName, Hello)>> {
        let stream = self.acceptor.accept(stream).await?;
        let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let site = certificate
            .and_then(|first| tls::site_of(first, self.shared.spec.peers.keys()))
            .cloned()
            .ok_or_else(|| io::Error::other("its certificate is not one of another site's gate"))?;
        let mut wire = Wire::tls(stream.into());
        let hello = line::read(&mut wire).await?;
        Ok(hello.map(|hello| (wire, site, hello)))
    }

    async fn pass_on(
        &self,
        mut wire: Wire,
        site: SiteName,
        hello: Hello,
        shutdown: CancellationToken,
    ) {
        let verdict = match self.known(&hello) {
            Ok(()) => self.admit(&hello).await,
            Err(reason) => Err(reason),
        };
        let answer = match &verdict {
            Ok(_) => Answer::yes(),
            Err(reason) => Answer::no(reason, self.shared.standing().epoch()),
        };
        if line::write(&mut wire, &answer).await.is_err() {
            return;
        }
        match (verdict, hello.to) {
            (Ok(pass), Target::Store(store) | Target::StoreReads(store)) => {
                self.stores.serve_peer(&store, pass, wire).await
            }
            (Ok(pass), Target::Http) => {
                // Each request on the tunnel is admitted by itself.
                drop(pass);
                Arc::clone(&self.proxy).serve(wire, Origin::Peer, shutdown).await;
            }
            (Ok(pass), Target::Reads) => {
                drop(pass);
                Arc::clone(&self.proxy).serve(wire, Origin::Reader, shutdown).await;
            }
            (Err(reason), _) => tracing::debug!(%site, reason, "a tunnel is refused for now"),
        }
    }

    fn known(&self, hello: &Hello) -> Result<(), &'static str> {
        let spec = &self.shared.spec;
        let has = match &hello.to {
            Target::Http | Target::Reads => spec.http.is_some(),
            Target::Store(store) | Target::StoreReads(store) => spec.stores.contains_key(store),
        };
        match has && hello.application == spec.application {
            true => Ok(()),
            false => Err("this gate has no such application or store"),
        }
    }

    async fn admit(&self, hello: &Hello) -> Result<Pass, &'static str> {
        let kind = match &hello.to {
            Target::Reads => return self.shared.admit_peer_read(hello.epoch),
            // The epoch does not matter: how old the database is does.
            Target::StoreReads(store) => {
                let pass = self.shared.admit_reader(store);
                return pass.ok_or("this site's own database may not be read now");
            }
            Target::Http => Kind::Http,
            Target::Store(_) => Kind::Tcp,
        };
        let late = tokio::time::Instant::now() + self.shared.spec.hold;
        let mut changes = self.shared.watch();
        loop {
            if let Some(pass) = self.shared.admit_peer(kind, hello.epoch)? {
                return Ok(pass);
            }
            let changed = tokio::time::timeout_at(late, changes.changed()).await;
            changed.map_err(|_| "it was held too long")?.map_err(|_| "the gate ends")?;
        }
    }
}
