//! The key that a zone is signed with (DNSSEC): ECDSA P-256 with SHA-256, algorithm 13 (RFC 6605),
//! one key for everything in the zone. It is kept in a file that says which zone it is for, above
//! the private key as PKCS #8 in PEM (RFC 7468), which `openssl pkey -in FILE` reads too.

use crate::dns::{DnsError, host};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hickory_proto::dnssec::crypto::EcdsaSigningKey;
use hickory_proto::dnssec::rdata::{DNSKEY, DS};
use hickory_proto::dnssec::{Algorithm, DigestType, SigningKey as _, TBS};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

pub(super) const ALGORITHM: Algorithm = Algorithm::ECDSAP256SHA256;
/// Of a key file; nothing that is longer is one.
const LONGEST: u64 = 16 * 1024;
/// Before the zone's name, on a line of its own.
const ZONE: &str = "zone:";
/// How long resolvers keep what the parent zone says of the key, as registries usually have it.
const DS_TTL: u32 = 3600;

/// One key of one zone. It never shows its private part.
pub struct SigningKey {
    zone: String,
    private: EcdsaSigningKey,
    pub(super) public: DNSKEY,
    /// What signatures call it (RFC 4034, appendix B).
    pub tag: u16,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, {})", self.zone, self.tag)
    }
}

impl SigningKey {
    /// A new key in a new file that only its owner reads. A file that is there already stays.
    pub fn create(path: &Path, zone: &str) -> Result<Self, DnsError> {
        host(zone)?;
        let refused = |why: String, advice: &str| unusable(path, why, advice);
        let private = EcdsaSigningKey::generate_pkcs8(ALGORITHM)
            .map_err(|why| refused(why.to_string(), "try again"))?;
        let text = write(zone, private.secret_pkcs8_der());
        let key = Self::parse(&text, zone).map_err(|(why, advice)| refused(why, &advice))?;
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let written = made.and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        });
        written.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => refused(
                "the file is there already, and was left as it is".to_owned(),
                "name another one with --out",
            ),
            _ => refused(format!("cannot be written: {error}"), "name another file with --out"),
        })?;
        Ok(key)
    }

    /// The key in this file, when it is one for this zone and nobody else can read it.
    pub fn read(path: &Path, zone: &str) -> Result<Self, DnsError> {
        let text = text(path)?;
        Self::parse(&text, zone).map_err(|(why, advice)| unusable(path, why, &advice))
    }

    /// Or what is wrong with it, and what to do.
    fn parse(text: &str, zone: &str) -> Result<Self, (String, String)> {
        let make = || format!("make one: mainstay dns key new {zone} --out FILE");
        let Some(of) = text.lines().find_map(|line| line.strip_prefix(ZONE)) else {
            let advice = format!("write `{ZONE} {zone}` as its first line, or {}", make());
            return Err((format!("no line says `{ZONE}`"), advice));
        };
        if !of.trim().eq_ignore_ascii_case(zone) {
            let advice = format!("name the key of {zone}, or {}", make());
            return Err((format!("it is the key of {}, not of {zone}", of.trim()), advice));
        }
        let pem = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes());
        let pem = pem.map_err(|_| ("no private key in PEM stands in it".to_owned(), make()))?;
        let other = |_| {
            let what = "its key is not one of ECDSA P-256 (algorithm 13)".to_owned();
            (what, make())
        };
        let private = EcdsaSigningKey::from_pkcs8(&pem, ALGORITHM).map_err(other)?;
        let public = DNSKEY::from_key(&private.to_public_key().map_err(other)?);
        let tag = public.calculate_key_tag().map_err(|why| (why.to_string(), make()))?;
        Ok(Self { zone: zone.to_ascii_lowercase(), private, public, tag })
    }

    /// The record that the parent zone vouches for the key with, with a SHA-256 digest (RFC 4509).
    pub fn ds(&self) -> Result<String, DnsError> {
        let wrong = |why: String| DnsError::Name { name: self.zone.clone(), why };
        let public = self.public.public_key();
        let ds = DS::from_key(public, &host(&self.zone)?, DigestType::SHA256)
            .map_err(|why| wrong(why.to_string()))?;
        let digest: String = ds.digest().iter().map(|byte| format!("{byte:02X}")).collect();
        let (algorithm, kind) = (u8::from(ds.algorithm()), u8::from(ds.digest_type()));
        Ok(format!("{}. {DS_TTL} IN DS {} {algorithm} {kind} {digest}", self.zone, ds.key_tag()))
    }

    pub(super) fn sign(&self, bytes: &TBS) -> Option<Vec<u8>> {
        self.private.sign(bytes).ok()
    }
}

fn write(zone: &str, der: &[u8]) -> String {
    let mut text = format!(
        "{ZONE} {zone}\n\
         This key signs the zone (DNSSEC). Whoever has it can answer in the zone's name: keep it\n\
         as you keep passwords.\n\
         -----BEGIN PRIVATE KEY-----\n"
    );
    let body = STANDARD.encode(der);
    for line in body.as_bytes().chunks(64) {
        text += &String::from_utf8_lossy(line);
        text.push('\n');
    }
    text + "-----END PRIVATE KEY-----\n"
}

fn text(path: &Path) -> Result<String, DnsError> {
    let refused = |why: String, advice: String| unusable(path, why, &advice);
    let unreadable = |error: io::Error| {
        let advice = "copy it from the other site, readable for the user of mainstay alone";
        refused(format!("cannot be read: {error}"), advice.to_owned())
    };
    let file = File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let advice = format!("chmod 600 {}", path.display());
        return Err(refused(format!("others may read it (mode {mode:04o})"), advice));
    }
    let mut text = String::new();
    file.take(LONGEST).read_to_string(&mut text).map_err(unreadable)?;
    Ok(text)
}

fn unusable(path: &Path, why: String, advice: &str) -> DnsError {
    DnsError::SigningKey { path: path.to_owned(), why, advice: advice.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};

    fn refused(path: &Path, zone: &str) -> String {
        SigningKey::read(path, zone).unwrap_err().to_string()
    }

    #[test]
    fn what_is_made_is_read_again_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let made = SigningKey::create(&path, "example.org").unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let read = SigningKey::read(&path, "example.org").unwrap();
        assert_eq!((made.ds(), made.tag), (read.ds(), read.tag));
        let text = fs::read_to_string(&path).unwrap();
        assert!(SigningKey::create(&path, "example.org").is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }

    #[test]
    fn what_is_no_key_of_this_zone_is_refused_with_what_to_type_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        SigningKey::create(&path, "example.org").unwrap();
        let good = fs::read_to_string(&path).unwrap();
        let secret = good.lines().nth(4).unwrap();
        assert!(refused(&path, "example.com").contains("it is the key of example.org"));
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        assert!(refused(&path, "example.org").contains("chmod 600"));
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let cut = good.replace("-----END", "");
        for text in ["", "zone: example.org\n", &cut, &good.replace("zone:", "for:")] {
            fs::write(&path, text).unwrap();
            let why = refused(&path, "example.org");
            assert!(why.contains("mainstay dns key new") && !why.contains(secret), "{why}");
        }
        let longer = EcdsaSigningKey::generate_pkcs8(Algorithm::ECDSAP384SHA384).unwrap();
        fs::write(&path, super::write("example.org", longer.secret_pkcs8_der())).unwrap();
        assert!(refused(&path, "example.org").contains("algorithm 13"));
        assert!(!format!("{:?}", SigningKey::parse(&good, "example.org")).contains(secret));
    }
}
