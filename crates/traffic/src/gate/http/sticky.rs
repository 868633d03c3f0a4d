//! A cookie by which a client comes back to the site and the process that it was with. It names
//! neither: both are numbers.

use http::HeaderMap;
use http::header::{COOKIE, HeaderValue, SET_COOKIE};

/// Where a client was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub site: u32,
    pub upstream: u32,
}

/// The number of a name: FNV-1a, which stays the same over restarts and between gates.
pub fn mark(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

impl Place {
    /// What the client's cookie says.
    pub fn read(headers: &HeaderMap, name: &str) -> Option<Self> {
        let fields = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = fields.flat_map(|field| field.split(';')).map(str::trim);
        let value = pairs.find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
        let (site, upstream) = value.split_once('-')?;
        let number = |text| u32::from_str_radix(text, 16).ok();
        Some(Self { site: number(site)?, upstream: number(upstream)? })
    }

    pub fn write(self, headers: &mut HeaderMap, name: &str, encrypted: bool) {
        let secure = if encrypted { "; Secure" } else { "" };
        let Self { site, upstream } = self;
        let cookie =
            format!("{name}={site:08x}-{upstream:08x}; Path=/; HttpOnly; SameSite=Lax{secure}");
        if let Ok(cookie) = HeaderValue::try_from(cookie) {
            headers.append(SET_COOKIE, cookie);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_among_other_cookies() {
        let place = Place { site: mark("west"), upstream: mark("127.0.0.1:9001") };
        let mut answer = HeaderMap::new();
        place.write(&mut answer, "stay", true);
        let cookie = answer[SET_COOKIE].to_str().unwrap().to_owned();
        assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure"), "{cookie}");
        let pair = cookie.split(';').next().unwrap();
        let mut request = HeaderMap::new();
        request.insert(COOKIE, format!("staying=1; {pair}; x=y").parse().unwrap());
        assert_eq!(Place::read(&request, "stay"), Some(place));
        assert_eq!(Place::read(&request, "x"), None);
        assert_eq!(Place::read(&request, "other"), None);
    }
}
