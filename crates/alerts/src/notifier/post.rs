//! JSON by POST to one address. Nothing is followed: whoever answers with another address could
//! lead a message, and its signature, anywhere.

use super::{AlertsError, SendError};
use bytes::Bytes;
use http::{Request, header};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use mainstay_core::NotifierName;
use mainstay_core::notifier::HttpTarget;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

pub struct Post {
    to: HttpTarget,
    tls: Option<Arc<ClientConfig>>,
}

impl Post {
    pub fn new(name: &NotifierName, to: &HttpTarget) -> Result<Self, AlertsError> {
        let tls = match to.url.encrypted {
            true => Some(Arc::new(trust(name, to.authority.as_deref())?)),
            false => None,
        };
        Ok(Self { to: to.clone(), tls })
    }

    /// Any status of success is a delivery.
    pub async fn send(
        &self,
        path: &str,
        headers: &[(&'static str, String)],
        body: Bytes,
    ) -> Result<(), SendError> {
        let mut request = Request::post(path)
            .header(header::HOST, self.to.url.authority())
            .header(header::USER_AGENT, concat!("mainstay/", env!("CARGO_PKG_VERSION")))
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONNECTION, "close");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let request = request.body(Full::new(body)).map_err(SendError::new)?;
        let tcp = self.connect().await?;
        let status = match &self.tls {
            None => exchange(tcp, request).await?,
            Some(tls) => {
                let name =
                    ServerName::try_from(self.to.url.host.clone()).map_err(SendError::new)?;
                let connecting = TlsConnector::from(tls.clone()).connect(name, tcp);
                exchange(connecting.await.map_err(SendError::new)?, request).await?
            }
        };
        match status {
            status if status.is_success() => Ok(()),
            status if status.is_redirection() => {
                Err(SendError::new(format!("answered {status}: redirects are not followed")))
            }
            status => Err(SendError::new(format!("answered {status}"))),
        }
    }

    async fn connect(&self) -> Result<TcpStream, SendError> {
        let url = &self.to.url;
        let found = tokio::net::lookup_host((url.host.as_str(), url.port)).await;
        let found: Vec<_> = found.map_err(SendError::new)?.collect();
        if let Some(refused) = found.iter().find(|address| is_link_local(address.ip())) {
            let why = format!(
                "{} is a link-local address, where clouds keep credentials: refused",
                refused.ip()
            );
            return Err(SendError::new(why));
        }
        let mut last = "the name has no address".to_owned();
        for address in found {
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(why) => last = why.to_string(),
            }
        }
        Err(SendError::new(last))
    }
}

/// Also as IPv6 writes IPv4.
fn is_link_local(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

/// The status alone: what stands in the answer is not wanted.
async fn exchange<S>(
    stream: S,
    request: Request<Full<Bytes>>,
) -> Result<http::StatusCode, SendError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let made = http1::Builder::new().max_buf_size(16 * 1024).handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = made.map_err(SendError::new)?;
    // Dropping the connection ends the rest. One that ends tells the request so, which then is the
    // answer.
    let answer = tokio::select! {
        answer = sender.send_request(request) => answer,
        never = async { let _ = connection.await; std::future::pending().await } => never,
    };
    answer.map(|answer| answer.status()).map_err(SendError::new)
}

fn trust(name: &NotifierName, authority: Option<&Path>) -> Result<ClientConfig, AlertsError> {
    let mut roots = RootCertStore::empty();
    match authority {
        Some(path) => {
            let bad = |why: &dyn std::fmt::Display| AlertsError::Authority {
                name: name.clone(),
                path: path.to_owned(),
                why: why.to_string(),
            };
            for certificate in CertificateDer::pem_file_iter(path).map_err(|why| bad(&why))? {
                let certificate = certificate.map_err(|why| bad(&why))?;
                roots.add(certificate).map_err(|why| bad(&why))?;
            }
        }
        // One that cannot be read among many of the machine's is not missed.
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() {
        let why = "no authority is trusted: install ca-certificates, or write `authority`";
        return Err(AlertsError::Unusable { name: name.clone(), why: why.to_owned() });
    }
    Ok(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_where_clouds_keep_credentials_are_refused() {
        for bad in ["169.254.169.254", "::ffff:169.254.169.254", "fe80::1"] {
            assert!(is_link_local(bad.parse().unwrap()), "{bad}");
        }
        for good in ["127.0.0.1", "10.1.2.3", "::1", "fd00::1", "2001:db8::1"] {
            assert!(!is_link_local(good.parse().unwrap()), "{good}");
        }
    }
}
