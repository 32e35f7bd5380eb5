//! Pulling a release's images on one host, by digest.

use secrecy::ExposeSecret as _;

use super::release::Release;
use crate::inventory::Registry;
use crate::remote::{Output, Script};

/// Pulls what is not there yet. The password travels on standard input, the login lives in a private
/// folder that is gone afterwards.
pub fn pull(release: &Release, registry: Option<&Registry>) -> Script {
    let mut images: Vec<String> = release.images.iter().map(super::PinnedImage::pinned).collect();
    images.sort();
    images.dedup();
    let user = registry.and_then(|registry| registry.username.clone());
    let password = registry.and_then(|registry| registry.password.as_ref());
    Script::new(include_str!("pull.sh"))
        .var("SERVER", registry.map_or("", |registry| registry.server.as_str()))
        .var("USERNAME", user.unwrap_or_default())
        .file(
            "pm_password",
            password.map_or("", |password| password.expose_secret()),
        )
        .file("images", images.join("\n") + "\n")
}

/// What a failed pull means, in words with a cure.
pub fn explain(output: &Output, registry: Option<&Registry>) -> String {
    let said = output.complaint();
    let server = registry.map_or("the registry", |registry| registry.server.as_str());
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if has(&["unauthorized", "401", "denied"]) {
        format!("{server} refuses the login (401): check [registry] username and password\n{said}")
    } else if has(&["no space left on device"]) {
        format!("the disk is full: prune old releases, or make room on Docker's root\n{said}")
    } else if has(&["no matching manifest", "exec format error"]) {
        format!("the image does not exist for this host's architecture\n{said}")
    } else if has(&["manifest unknown", "not found"]) {
        format!("{server} does not have this image any more\n{said}")
    } else if has(&["certificate", "x509"]) {
        format!(
            "{server}'s certificate is not trusted here: put its CA into /etc/docker/certs.d/{server}/ca.crt\n{said}"
        )
    } else if has(&[
        "connection refused",
        "no such host",
        "i/o timeout",
        "TLS handshake",
        "Timeout",
        "EOF",
    ]) {
        format!("{server} cannot be reached from this host\n{said}")
    } else {
        format!("the pull failed\n{said}")
    }
}
