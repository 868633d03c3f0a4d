//! The authority that the sites of one lab trust, and a certificate for each of them.

use super::folder::{Folder, make_private, write_private};
use super::plan::LabPlan;
use crate::error::LabError;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// Writes `ca.pem`, `SITE.pem` and `SITE.key` into each site's own folder. The authority's key is
/// forgotten: nobody can make another certificate for this lab.
pub fn write_certificates(plan: &LabPlan, folder: &Folder) -> Result<(), LabError> {
    let (authority, issuer) = make_authority()?;
    for (site, place) in &plan.sites {
        let tls = folder.tls(site);
        make_private(&tls)?;
        let (certificate, key) = make_certificate(vec![site.clone()], &issuer)?;
        if let Some(member) = &place.etcd {
            let mut names = vec![member.client.ip().to_string(), member.known_as.ip().to_string()];
            // A member also looks where another one's connections come from: here, the relay.
            names.push("127.0.0.1".to_owned());
            let (certificate, key) = make_certificate(names, &issuer)?;
            write_private(&tls.join("etcd.pem"), certificate.as_bytes())?;
            write_private(&tls.join("etcd.key"), key.as_bytes())?;
        }
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
    names: Vec<String>,
    issuer: &Issuer<'static, KeyPair>,
) -> Result<(String, String), rcgen::Error> {
    let first = names.first().cloned().unwrap_or_default();
    let mut params = CertificateParams::new(names)?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.distinguished_name.push(DnType::CommonName, first);
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate()?;
    Ok((params.signed_by(&key, issuer)?.pem(), key.serialize_pem()))
}
