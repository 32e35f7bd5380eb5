//! What can go wrong with one attempt of a check.

use std::fmt;
use std::time::Duration;

use super::text::human;

/// Where a check asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The Compose service; `None`: the host itself.
    pub service: Option<String>,
    /// The port of the service, or of the host.
    pub port: u16,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.service {
            Some(service) => write!(f, "service {service} on port {}", self.port),
            None => write!(f, "port {} of the host", self.port),
        }
    }
}

/// Why one attempt did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The project has no container of this service.
    #[error("no container of service {service}")]
    NoContainer {
        /// The service.
        service: String,
    },
    /// There is a container, but it does not run.
    #[error("service {service} is {state} (last exit code {exit_code})")]
    NotRunning {
        /// The service.
        service: String,
        /// Its state as the engine names it.
        state: String,
        /// The exit code of its last end.
        exit_code: i64,
    },
    /// The server itself cannot be reached.
    #[error("no way to {place}: {problem}")]
    Unreachable {
        /// Where to.
        place: Place,
        /// In words.
        problem: String,
    },
    /// Nothing listens there.
    #[error("connection refused by {place}")]
    Refused {
        /// By whom.
        place: Place,
    },
    /// The connection was taken, and closed without an answer.
    #[error("{place} closed the connection without an answer")]
    Closed {
        /// Who.
        place: Place,
    },
    /// No answer within the request's deadline.
    #[error("no answer from {place} within {}", human(*.after))]
    Silent {
        /// From whom.
        place: Place,
        /// The deadline.
        after: Duration,
    },
    /// An answer that is no HTTP, or that broke off.
    #[error("{place} answered something that is no HTTP answer: {problem}")]
    Garbled {
        /// Who.
        place: Place,
        /// In words.
        problem: String,
    },
    /// Another status than the healthy one.
    #[error("{found}{}", said(.location.as_deref().unwrap_or(.line)))]
    Status {
        /// The healthy one.
        expected: u16,
        /// What was answered.
        found: u16,
        /// The body's first line.
        line: String,
        /// Where a redirect leads.
        location: Option<String>,
    },
    /// The body lacks what it must contain.
    #[error("{status} without {text:?}{}", said(.line))]
    Missing {
        /// The status, which was the healthy one.
        status: u16,
        /// What it must contain.
        text: String,
        /// The body's first line.
        line: String,
    },
    /// The answer names no release at all.
    #[error("{status} that names no release{}", said(.line))]
    NoRelease {
        /// The status.
        status: u16,
        /// The body's first line.
        line: String,
    },
    /// The answer names another release.
    #[error("answers {found}, expected {expected}")]
    OtherRelease {
        /// The tag that is deployed.
        expected: String,
        /// The tag that answered.
        found: String,
    },
}

impl Fault {
    /// A few words, equal for attempts that ended alike; history counts by them.
    pub fn kind(&self) -> String {
        match self {
            Fault::NoContainer { .. } => "no container".to_owned(),
            Fault::NotRunning { state, .. } => state.clone(),
            Fault::Unreachable { .. } => "server unreachable".to_owned(),
            Fault::Refused { .. } => "connection refused".to_owned(),
            Fault::Closed { .. } => "connection closed".to_owned(),
            Fault::Silent { .. } => "no answer in time".to_owned(),
            Fault::Garbled { .. } => "no HTTP".to_owned(),
            Fault::Status { found, .. } => found.to_string(),
            Fault::Missing { status, .. } => format!("{status} with another text"),
            Fault::NoRelease { .. } => "no release named".to_owned(),
            Fault::OtherRelease { found, .. } => format!("release {found}"),
        }
    }

    /// Whether this is a proxy's word about somebody behind it, rather than the app's own.
    pub(crate) fn is_second_hand(&self) -> bool {
        matches!(self, Fault::Status { found: 502..=504, .. })
    }
}

fn said(line: &str) -> String {
    if line.is_empty() {
        String::new()
    } else {
        format!(": {line}")
    }
}
