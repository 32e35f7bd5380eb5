//! Signature Version 4: who asks, when and for what, under a key that is derived anew for each day, region and service.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use std::fmt::Write as _;

use hmac::digest::KeyInit;
use hmac::{Hmac, Mac as _};
use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};

use super::keys::Keys;

/// The only algorithm.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// What is signed of a request.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    /// As it is sent, each byte outside of `A-Za-z0-9-._~/` encoded. No path that is signed here has any.
    pub(super) path: &'a str,
    /// Encoded and sorted, as [`query`] makes it.
    pub(super) query: &'a str,
    /// As the `host` header has it.
    pub(super) host: &'a str,
    pub(super) content_type: Option<&'a str>,
    pub(super) body: &'a [u8],
}

/// The headers that sign a request, besides `host` and `content-type`: names and values.
pub(super) fn headers(
    request: &Request<'_>,
    keys: &Keys,
    region: &str,
    service: &str,
    at: Timestamp,
) -> Vec<(&'static str, String)> {
    let stamp = at.strftime("%Y%m%dT%H%M%SZ").to_string();
    let day = &stamp[..8];
    let mut signed = vec![("host", request.host.to_owned()), ("x-amz-date", stamp.clone())];
    if let Some(content_type) = request.content_type {
        signed.push(("content-type", content_type.to_owned()));
    }
    if let Some(session) = &keys.session {
        signed.push(("x-amz-security-token", session.expose_secret().to_owned()));
    }
    signed.sort_unstable();
    let names = signed.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let canonical_headers: String = signed
        .iter()
        .map(|(name, value)| format!("{name}:{}\n", value.trim()))
        .collect();
    let canonical = format!(
        "{}\n{}\n{}\n{canonical_headers}\n{names}\n{}",
        request.method,
        request.path,
        request.query,
        hex(&Sha256::digest(request.body))
    );
    let scope = format!("{day}/{region}/{service}/aws4_request");
    let to_sign = format!(
        "{ALGORITHM}\n{stamp}\n{scope}\n{}",
        hex(&Sha256::digest(canonical))
    );
    let start = format!("AWS4{}", keys.secret.expose_secret());
    let key = [day, region, service, "aws4_request"]
        .iter()
        .fold(start.into_bytes(), |key, part| mac(&key, part));
    let signature = hex(&mac(&key, &to_sign));
    let authorization = format!(
        "{ALGORITHM} Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
        keys.access
    );
    signed.retain(|(name, _)| name.starts_with("x-amz-"));
    signed.push(("authorization", authorization));
    signed
}

/// Parameters of a URL or a form, encoded and sorted as a signature needs them.
pub(super) fn query(parameters: &[(String, String)]) -> String {
    let mut encoded: Vec<(String, String)> = parameters
        .iter()
        .map(|(name, value)| (encode(name), encode(value)))
        .collect();
    encoded.sort_unstable();
    let pairs = encoded.iter().map(|(name, value)| format!("{name}={value}"));
    pairs.collect::<Vec<_>>().join("&")
}

/// RFC 3986, with nothing left as it is but the unreserved characters.
fn encode(text: &str) -> String {
    text.bytes()
        .fold(String::with_capacity(text.len()), |mut out, byte| {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                out.push(char::from(byte));
            } else {
                // Writing to a String does not fail.
                let _ = write!(out, "%{byte:02X}");
            }
            out
        })
}

/// HMAC-SHA-256. A key is brought to the length of a block as RFC 2104 says, which leaves nothing that could fail.
fn mac(key: &[u8], data: &str) -> Vec<u8> {
    let mut block = [0_u8; 64];
    if key.len() > block.len() {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let mut mac = <Hmac<Sha256> as KeyInit>::new(&block.into());
    mac.update(data.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// Lower case, as AWS writes it.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
            // Writing to a String does not fail.
            let _ = write!(out, "{byte:02x}");
            out
        })
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    fn signature(request: &Request<'_>, service: &str) -> String {
        let keys = Keys {
            access: "AKIDEXAMPLE".to_owned(),
            secret: SecretString::from("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned()),
            session: None,
        };
        let at = "2015-08-30T12:36:00Z".parse().unwrap();
        let headers = headers(request, &keys, "us-east-1", service, at);
        headers.last().unwrap().1.clone()
    }

    fn get<'a>(host: &'a str, query: &'a str) -> Request<'a> {
        Request {
            method: "GET",
            path: "/",
            query,
            host,
            content_type: None,
            body: b"",
        }
    }

    /// Of AWS's own test suite for signers (`get-vanilla`, `get-vanilla-query-order-key-case`,
    /// `post-x-www-form-urlencoded`), and the worked example of its manual.
    #[test]
    fn the_published_vectors() {
        let host = "example.amazonaws.com";
        assert_eq!(
            signature(&get(host, ""), "service"),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders=host;x-amz-date, \
             Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
        );
        let parameters = |pairs: &[(&str, &str)]| {
            let owned = pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned()));
            query(&owned.collect::<Vec<_>>())
        };
        let sorted = parameters(&[("Param2", "value2"), ("Param1", "value1")]);
        assert!(
            signature(&get(host, &sorted), "service")
                .ends_with("=b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500")
        );
        let form = Request {
            method: "POST",
            content_type: Some("application/x-www-form-urlencoded"),
            body: b"Param1=value1",
            ..get(host, "")
        };
        assert!(
            signature(&form, "service")
                .ends_with("=ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a")
        );
        let list = parameters(&[("Action", "ListUsers"), ("Version", "2010-05-08")]);
        let list = Request {
            content_type: Some("application/x-www-form-urlencoded; charset=utf-8"),
            ..get("iam.amazonaws.com", &list)
        };
        assert!(
            signature(&list, "iam")
                .ends_with("=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7")
        );
    }

    #[test]
    fn parameters_are_encoded_and_sorted() {
        let pairs = [("b", "ü &"), ("a", "x/y~"), ("a", "*")];
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
            .collect();
        assert_eq!(query(&pairs), "a=%2A&a=x%2Fy~&b=%C3%BC%20%26");
    }
}
