//! An authority, and what it issues.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};
use std::path::{Path, PathBuf};

pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// The files that a person has.
#[derive(Clone)]
pub struct Files {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// What a certificate says of whoever shows it.
pub struct Says<'a> {
    pub alternative: &'a [&'a str],
    pub common: &'a str,
    pub until: i32,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("an authority"))
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// For a person or a site whose subject alternative name is this.
    pub fn issue(&self, name: &str, folder: &Path) -> Files {
        self.issue_as(&Says { alternative: &[name], common: name, until: 2099 }, name, folder)
    }

    pub fn issue_as(&self, says: &Says<'_>, file: &str, folder: &Path) -> Files {
        let names: Vec<String> = says.alternative.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.distinguished_name.push(DnType::CommonName, says.common);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(says.until, 1, 1);
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        let write = |extension: &str, text: String| {
            let path = folder.join(format!("{file}.{extension}"));
            std::fs::write(&path, text).expect("a file");
            path
        };
        Files {
            certificate: write("pem", certificate.pem()),
            key: write("key", key.serialize_pem()),
        }
    }
}
