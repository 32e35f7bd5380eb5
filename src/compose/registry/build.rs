//! HTTP clients for registries, and words for what keeps them from an answer.

use std::error::Error as _;
use std::time::Duration;

use camino::Utf8PathBuf;

use super::error::RegistryError;

/// Longest that a connect may take: registries are near, or down.
const CONNECT: Duration = Duration::from_secs(5);
/// Longest that one answer may take; manifests are small.
const ANSWER: Duration = Duration::from_secs(20);

/// What every client of a registry has in common.
pub(super) fn builder(ca: Option<&Utf8PathBuf>) -> Result<reqwest::ClientBuilder, RegistryError> {
    // Fails when somebody else in the process was first, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder()
        .connect_timeout(CONNECT)
        .timeout(ANSWER)
        .user_agent(concat!("pointsman/", env!("CARGO_PKG_VERSION")));
    let Some(path) = ca else { return Ok(builder) };
    let pem = std::fs::read(path).map_err(|error| broken_ca(ca, error.to_string()))?;
    let certificates =
        reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| broken_ca(ca, cause(&error)))?;
    if certificates.is_empty() {
        return Err(broken_ca(
            ca,
            "expected a certificate in PEM, found none".to_owned(),
        ));
    }
    Ok(builder.tls_certs_merge(certificates))
}

pub(super) fn broken_ca(ca: Option<&Utf8PathBuf>, problem: String) -> RegistryError {
    RegistryError::Ca {
        path: ca.map_or("of this machine", |path| path.as_str()).to_owned(),
        problem,
    }
}

pub(super) fn unreachable(server: &str, error: &reqwest::Error) -> RegistryError {
    let server = server.to_owned();
    let problem = cause(error);
    if error.is_timeout() {
        let problem = format!("no answer within {} s", ANSWER.as_secs());
        RegistryError::Unreachable { server, problem }
    } else if problem.to_ascii_lowercase().contains("certificate") {
        RegistryError::Certificate { server, problem }
    } else {
        RegistryError::Unreachable { server, problem }
    }
}

/// The innermost cause: what wraps it repeats the URL and says no more.
pub(super) fn cause(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(inner) = innermost.source() {
        innermost = inner;
    }
    if error.source().is_none() {
        error.to_string()
    } else {
        innermost.to_string()
    }
}
