//! Whom a person's certificate names. It was verified before, against the people's authority.

use rustls::pki_types::CertificateDer;
use x509_cert::Certificate;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::oid::AssociatedOid;
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// RFC 5280, appendix A.1: `id-at-commonName`.
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

pub struct Named {
    /// The DNS names among the subject alternative names; the subject's common names where there
    /// are none (RFC 6125, section 6.4.4).
    pub names: Vec<String>,
    /// Hash of the public key, in hexadecimal: the same in each certificate made for it.
    pub key: String,
}

/// None when it cannot be read.
pub fn read(certificate: &CertificateDer<'_>) -> Option<Named> {
    let parsed = Certificate::from_der(certificate).ok()?.tbs_certificate;
    let key = parsed.subject_public_key_info.to_der().ok()?;
    let mut names = alternative_names(&parsed)?;
    if names.is_empty() {
        let parts = parsed.subject.0.iter().flat_map(|part| part.0.iter());
        let common = parts.filter(|part| part.oid == COMMON_NAME);
        names = common.filter_map(|part| text(part.value.value())).collect();
    }
    Some(Named { names, key: blake3::hash(&key).to_hex().to_string() })
}

fn alternative_names(parsed: &x509_cert::TbsCertificate) -> Option<Vec<String>> {
    let extensions = parsed.extensions.iter().flatten();
    let mut names = Vec::new();
    for extension in extensions.filter(|it| it.extn_id == SubjectAltName::OID) {
        let found = SubjectAltName::from_der(extension.extn_value.as_bytes()).ok()?.0;
        names.extend(found.into_iter().filter_map(|name| match name {
            GeneralName::DnsName(name) => Some(name.to_string()),
            _ => None,
        }));
    }
    Some(names)
}

/// A string of whatever ASN.1 type; people's names are ASCII.
fn text(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes).ok().map(str::to_owned)
}
