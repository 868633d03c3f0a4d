//! Certificates as an operator would issue them.

use mainstay_core::estate::TlsFiles;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use std::fs;
use std::path::Path;

pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("an authority"))
    }

    /// Writes a certificate for `name`, its key and this authority into `folder`.
    pub fn issue(&self, name: &str, folder: &Path) -> TlsFiles {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        // OpenSSL takes a certificate whose subject is its issuer's for one that signed itself.
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        let write = |file: &str, text: String| {
            let path = folder.join(file);
            fs::write(&path, text).expect("the folder can be written");
            path
        };
        TlsFiles {
            authority: write("authority.pem", self.0.pem()),
            certificate: write("certificate.pem", certificate.pem()),
            key: write("key.pem", key.serialize_pem()),
        }
    }
}
