//! How clients connect to stores, resolved.

use super::value;
use crate::config::secrets::Vault;
use crate::config::typed::tcp::Tcp;
use mainstay_core::estate::{CertificateFiles, ClientTls, TcpOptions};

/// Whether the files are there is seen by the gate that needs them.
pub fn options(vault: &Vault<'_>, typed: &Tcp) -> TcpOptions {
    let path = |written| Some(vault.path(&value::<String>(written)?));
    let files = path(&typed.certificate).zip(path(&typed.key));
    let tls = match files {
        _ if value(&typed.through).unwrap_or_default() => ClientTls::Through,
        Some((certificate, key)) => ClientTls::Terminate(CertificateFiles { certificate, key }),
        None => ClientTls::Decline,
    };
    TcpOptions { tls, max_age: value(&typed.max_age) }
}
