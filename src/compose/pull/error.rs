//! Why an image could not be had, told from what docker said.

use crate::compose::engine::EngineProblem;
use crate::compose::stage::no_space;

/// An image, or a login, that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} failed: {failure}: {said}")]
pub struct PullError {
    /// `login SERVER` or `pull NAME@DIGEST`.
    pub what: String,
    /// Which kind of failure it is.
    pub failure: PullFailure,
    /// Docker's own words.
    pub said: String,
}

/// The kinds of failure of a login or a pull.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PullFailure {
    /// The registry refuses the name or password, or does not show this image to them.
    #[error("the registry refuses")]
    Unauthorized,
    /// There is no such image.
    #[error("no such image")]
    NotFound,
    /// The host's disk is full.
    #[error("no space left on the server")]
    NoSpace,
    /// The image exists, but not for this host's architecture.
    #[error("no image for the server's architecture")]
    Architecture,
    /// The registry cannot be reached from the host, or broke off.
    #[error("the registry cannot be reached from the server")]
    Unreachable,
    /// The host does not trust the registry's certificate, or expected one.
    #[error("the server does not trust the registry")]
    Certificate,
    /// Too many requests.
    #[error("the registry asks to wait")]
    Throttled,
    /// It came to a halt.
    #[error("it stalled")]
    Stalled,
    /// It took longer than it may.
    #[error("it did not end in time")]
    Late,
    /// The host's engine.
    #[error(transparent)]
    Engine(#[from] EngineProblem),
    /// Anything else.
    #[error("docker says")]
    Other,
}

impl PullError {
    pub(super) fn new(what: &str, failure: PullFailure, said: String) -> PullError {
        PullError {
            what: what.to_owned(),
            failure,
            said,
        }
    }
}

impl PullFailure {
    /// Finds the kind in docker's words. The order matters: Docker Hub says of an image that is not
    /// there that it may need a login, and a certificate's fault comes wrapped in a network's.
    pub fn of(said: &str) -> PullFailure {
        let lower = said.to_ascii_lowercase();
        let any = |words: &[&str]| words.iter().any(|word| lower.contains(word));
        if let Some(problem) = EngineProblem::find(said) {
            PullFailure::Engine(problem)
        } else if any(&["no byte arrived for"]) {
            PullFailure::Stalled
        } else if no_space(said) {
            PullFailure::NoSpace
        } else if any(&[
            "no matching manifest",
            "no match for platform",
            "cannot be used on this platform",
        ]) {
            PullFailure::Architecture
        } else if any(&["toomanyrequests", "too many requests", "rate limit"]) {
            PullFailure::Throttled
        } else if any(&[
            "x509:",
            "certificate",
            "server gave http response to https client",
        ]) {
            PullFailure::Certificate
        } else if any(&[
            "unauthorized",
            "access denied",
            "denied:",
            "no basic auth credentials",
            "401",
            "403 forbidden",
            "incorrect username or password",
        ]) {
            PullFailure::Unauthorized
        } else if any(&["manifest unknown", "not found", "name unknown", "does not exist"]) {
            PullFailure::NotFound
        } else if any(&[
            "dial tcp",
            "connection refused",
            "connection reset",
            "i/o timeout",
            "no such host",
            "tls handshake timeout",
            "deadline exceeded",
            "client.timeout",
            "request canceled",
            "unexpected eof",
            ": eof",
            "server misbehaving",
            "no route to host",
            "bad gateway",
            "service unavailable",
        ]) {
            PullFailure::Unreachable
        } else {
            PullFailure::Other
        }
    }

    /// Whether trying again may help. A refused login is never tried again: registries lock out
    /// (FAULTS.md 30).
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            PullFailure::Unreachable | PullFailure::Throttled | PullFailure::Stalled
        )
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            PullFailure::Unauthorized => {
                "check [registry] username and password, and that they may read this image"
            }
            PullFailure::NotFound => "was the tag pushed, and not deleted meanwhile?",
            PullFailure::NoSpace => "`pointsman prune`, or make room on the server",
            PullFailure::Architecture => {
                "build the image for this architecture too: `docker buildx build --platform`"
            }
            PullFailure::Unreachable => {
                "look at the network between server and registry, then `pointsman resume`"
            }
            PullFailure::Certificate => {
                "put the registry's CA into /etc/docker/certs.d/SERVER/ca.crt on the server"
            }
            PullFailure::Throttled => "wait, then `pointsman resume`",
            PullFailure::Stalled => {
                "look at the network between server and registry; [app] pull_stall says how long a pull may be silent"
            }
            PullFailure::Late => "raise [app] pull_timeout, or look why the server's network is slow",
            PullFailure::Engine(problem) => problem.hint(),
            PullFailure::Other => "run the same pull on the server by hand",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::PullFailure::{self, *};

    #[test]
    fn docker_s_words_tell_the_kind() {
        for (said, kind) in [
            (
                "Error response from daemon: Get \"https://r:5000/v2/\": dial tcp 10.0.0.5:5000: connect: connection refused",
                Unreachable,
            ),
            (
                "Error response from daemon: Get \"https://r/v2/\": context deadline exceeded",
                Unreachable,
            ),
            (
                "Error response from daemon: Get \"https://r/v2/\": x509: certificate signed by unknown authority",
                Certificate,
            ),
            ("http: server gave HTTP response to HTTPS client", Certificate),
            (
                "Error response from daemon: Get \"https://r/v2/\": unauthorized: authentication required",
                Unauthorized,
            ),
            (
                "Error: Get https://r:5000/v2/shop/manifests/v1: no basic auth credentials",
                Unauthorized,
            ),
            (
                "pull access denied for shop, repository does not exist or may require 'docker login'",
                Unauthorized,
            ),
            (
                "manifest for r:5000/shop@sha256:00 not found: manifest unknown: manifest unknown",
                NotFound,
            ),
            (
                "failed to register layer: write /var/lib/docker/tmp/x: no space left on device",
                NoSpace,
            ),
            (
                "no matching manifest for linux/arm64/v8 in the manifest list entries",
                Architecture,
            ),
            (
                "toomanyrequests: You have reached your pull rate limit.",
                Throttled,
            ),
            (
                "Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?",
                Engine(crate::compose::engine::EngineProblem::Stopped),
            ),
            ("no byte arrived for 60 s", Stalled),
            ("something new", Other),
        ] {
            assert_eq!(PullFailure::of(said), kind, "{said}");
        }
    }

    #[test]
    fn a_refused_login_is_never_tried_again() {
        assert!(!Unauthorized.is_transient() && Unreachable.is_transient());
    }
}
