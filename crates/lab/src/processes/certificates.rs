//! The authority that the sites of one lab trust, and a certificate for each of them.

use super::folder::{Folder, make_private, write_private};
use crate::error::LabError;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// Writes `ca.pem`, `SITE.pem` and `SITE.key` into each site's own folder. The authority's key is
/// forgotten: nobody can make another certificate for this lab.
pub fn write_certificates<'a>(
    folder: &Folder,
    sites: impl Iterator<Item = &'a String>,
) -> Result<(), LabError> {
    let (authority, issuer) = make_authority()?;
    for site in sites {
        let tls = folder.tls(site);
        make_private(&tls)?;
        let (certificate, key) = make_certificate(site, &issuer)?;
        write_private(&tls.join("ca.pem"), authority.as_bytes())?;
        write_private(&tls.join(format!("{site}.pem")), certificate.as_bytes())?;
        write_private(&tls.join(format!("{site}.key")), key.as_bytes())?;
    }
    Ok(())
}

fn make_authority() -> Result<(String, Issuer<'static, KeyPair>), rcgen::Error> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.distinguished_name.push(DnType::CommonName, "Mainstay lab");
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?.pem();
    Ok((certificate, Issuer::new(params, key)))
}

/// A site is both server and client to the others. A certificate marked as an authority's would
/// be refused as a server's (`CaUsedAsEndEntity`).
fn make_certificate(
    site: &str,
    issuer: &Issuer<'static, KeyPair>,
) -> Result<(String, String), rcgen::Error> {
    let mut params = CertificateParams::new(vec![site.to_owned()])?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.distinguished_name.push(DnType::CommonName, site);
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate()?;
    Ok((params.signed_by(&key, issuer)?.pem(), key.serialize_pem()))
}
