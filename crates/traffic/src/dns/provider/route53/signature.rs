//! The signature of a request to AWS (IAM User Guide, "AWS Signature Version 4 for API requests"):
//! an HMAC over the request in a canonical form, with a key made of the secret, the day, the region
//! and the service. Paths of ours hold nothing that its two ways of escaping would tell apart.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST, HeaderName, HeaderValue, InvalidHeaderValue};
use http::{Request, Uri};
use jiff::Timestamp;
use mainstay_core::estate::AwsKey;
use std::fmt::Write;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// With the host, the moment and the session's token signed too.
pub fn sign(
    mut request: Request<Bytes>,
    key: &AwsKey,
    (region, service): (&str, &str),
    now: Timestamp,
) -> Result<Request<Bytes>, InvalidHeaderValue> {
    let moment = now.strftime("%Y%m%dT%H%M%SZ").to_string();
    let day = moment.get(..8).unwrap_or_default();
    let headers = request.headers_mut();
    headers.insert(DATE, HeaderValue::try_from(&moment)?);
    if let Some(session) = &key.session {
        headers.insert(TOKEN, hidden(session.expose())?);
    }
    let (names, canonical) = canonical(&request);
    let scope = format!("{day}/{region}/{service}/aws4_request");
    let hashed = hex(digest(&SHA256, canonical.as_bytes()).as_ref());
    let text = format!("{ALGORITHM}\n{moment}\n{scope}\n{hashed}");
    let first = format!("AWS4{}", key.secret.expose());
    let secret = [day, region, service, "aws4_request"]
        .iter()
        .fold(first.into_bytes(), |secret, part| mac(&secret, part));
    let signature = hex(&mac(&secret, &text));
    let id = key.id.expose();
    let shown = format!(
        "{ALGORITHM} Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}"
    );
    request.headers_mut().insert(AUTHORIZATION, hidden(&shown)?);
    Ok(request)
}

/// The names of the headers that are signed, and the request in its canonical form.
fn canonical(request: &Request<Bytes>) -> (String, String) {
    let signed = [HOST, DATE, TOKEN];
    let there = signed.iter().filter_map(|name| Some((name, request.headers().get(name)?)));
    let there: Vec<_> = there
        .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes())))
        .collect();
    let names: Vec<&str> = there.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let headers: String =
        there.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
    let (path, query) = (request.uri().path(), query(request.uri()));
    let body = hex(digest(&SHA256, request.body()).as_ref());
    let method = request.method();
    let text = format!("{method}\n{path}\n{query}\n{headers}\n{names}\n{body}");
    (names, text)
}

/// Sorted by name; values are escaped already.
fn query(uri: &Uri) -> String {
    let mut pairs: Vec<&str> =
        uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()).collect();
    pairs.sort_unstable();
    pairs.join("&")
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn hidden(text: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut value = HeaderValue::try_from(text)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_core::Secret;

    fn signed(query: &str) -> String {
        let key = AwsKey {
            id: Secret::new("AKIDEXAMPLE"),
            secret: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            session: None,
        };
        let request = Request::get(format!("/{query}"))
            .header(HOST, "example.amazonaws.com")
            .body(Bytes::new())
            .unwrap();
        let at = "2015-08-30T12:36:00Z".parse().unwrap();
        let signed = sign(request, &key, ("us-east-1", "service"), at).unwrap();
        signed.headers()[AUTHORIZATION].to_str().unwrap().to_owned()
    }

    /// `get-vanilla` and `get-vanilla-query-order-key-case` of AWS's own test suite.
    #[test]
    fn requests_are_signed_as_aws_shows_it() {
        let before = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/\
                      aws4_request, SignedHeaders=host;x-amz-date, Signature=";
        for (query, signature) in [
            ("", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
            (
                "?Param2=value2&Param1=value1",
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
        ] {
            assert_eq!(signed(query), format!("{before}{signature}"));
        }
    }
}
