//! A check or the identity as one kind of question: where to ask, what to ask, what answer is right.

use std::time::Duration;

use super::fault::{Fault, Place};
use super::http::Reply;
use super::identity;
use super::text::headline;
use crate::inventory::{Check, Identity};

/// How often the identity is asked when no check says an interval (the default of checks).
const INTERVAL: Duration = Duration::from_millis(500);

/// Deadline of an identity request when no check says one (the default of checks).
const TIMEOUT: Duration = Duration::from_secs(3);

/// What the identity is called in messages.
pub(crate) const RELEASE: &str = "release";

/// One question that is asked again and again.
#[derive(Debug, Clone)]
pub(crate) struct Probe<'a> {
    pub(crate) name: &'a str,
    pub(crate) place: Place,
    pub(crate) path: &'a str,
    pub(crate) host_header: Option<&'a str>,
    pub(crate) successes: u32,
    pub(crate) min_healthy: Duration,
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
    right: Right<'a>,
}

/// Which answer is right.
#[derive(Debug, Clone, Copy)]
enum Right<'a> {
    Status { status: u16, contains: Option<&'a str> },
    Release { identity: &'a Identity, tag: &'a str },
}

impl<'a> Probe<'a> {
    /// All questions to one host: the checks in the inventory's order, the identity last.
    pub(crate) fn all(checks: &'a [Check], identity: &'a Identity, tag: &'a str) -> Vec<Probe<'a>> {
        checks
            .iter()
            .map(Probe::check)
            .chain([Probe::identity(identity, tag, checks)])
            .collect()
    }

    fn check(check: &'a Check) -> Probe<'a> {
        Probe {
            name: &check.name,
            place: Place {
                service: check.service.clone(),
                port: check.port,
            },
            path: &check.path,
            host_header: check.host_header.as_deref(),
            successes: check.successes,
            min_healthy: check.min_healthy,
            interval: check.interval,
            timeout: check.timeout,
            right: Right::Status {
                status: check.status,
                contains: check.contains.as_deref(),
            },
        }
    }

    /// The identity has no settings of its own: an app that insists on a `Host:` header does so for
    /// every path, so it is taken from the check of the same port, or else of any.
    fn identity(identity: &'a Identity, tag: &'a str, checks: &'a [Check]) -> Probe<'a> {
        let same = |check: &&Check| check.service == identity.service && check.port == identity.port;
        let header = checks
            .iter()
            .find(same)
            .and_then(|check| check.host_header.as_deref())
            .or_else(|| checks.iter().find_map(|check| check.host_header.as_deref()));
        Probe {
            name: RELEASE,
            place: Place {
                service: identity.service.clone(),
                port: identity.port,
            },
            path: &identity.path,
            host_header: header,
            successes: 1,
            min_healthy: Duration::ZERO,
            interval: checks
                .iter()
                .map(|check| check.interval)
                .min()
                .unwrap_or(INTERVAL),
            timeout: checks.iter().map(|check| check.timeout).max().unwrap_or(TIMEOUT),
            right: Right::Release { identity, tag },
        }
    }

    /// Whether this asks who the host is, rather than how it is.
    pub(crate) fn is_identity(&self) -> bool {
        matches!(self.right, Right::Release { .. })
    }

    /// Whether an answer is the right one.
    pub(crate) fn judge(&self, reply: &Reply) -> Result<(), Fault> {
        let line = || headline(&reply.body);
        let status = |expected| Fault::Status {
            expected,
            found: reply.status,
            line: line(),
            location: reply.location.clone(),
        };
        match self.right {
            Right::Status { status: expected, .. } if reply.status != expected => Err(status(expected)),
            Right::Status {
                contains: Some(text), ..
            } if !reply.body.contains(text) => Err(Fault::Missing {
                status: reply.status,
                text: text.to_owned(),
                line: line(),
            }),
            Right::Status { .. } => Ok(()),
            Right::Release { .. } if reply.status != 200 => Err(status(200)),
            Right::Release { identity, tag } => match identity::read(&reply.body, identity) {
                Some(found) if found == tag => Ok(()),
                Some(found) => Err(Fault::OtherRelease {
                    expected: tag.to_owned(),
                    found,
                }),
                None => Err(Fault::NoRelease {
                    status: reply.status,
                    line: line(),
                }),
            },
        }
    }

    /// The right answer in words.
    pub(crate) fn expected(&self) -> String {
        let what = match self.right {
            Right::Status {
                status,
                contains: Some(text),
            } => format!("{status} with {text:?}"),
            Right::Status {
                status,
                contains: None,
            } => status.to_string(),
            Right::Release {
                identity: Identity { json: Some(key), .. },
                tag,
            } => {
                format!("{tag} as {key:?} of JSON")
            }
            Right::Release { tag, .. } => tag.to_owned(),
        };
        format!("{what} from GET {}, {}", self.path, self.place)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::health::testing::check;

    fn reply(status: u16, body: &str) -> Reply {
        Reply {
            status,
            location: None,
            body: body.to_owned(),
        }
    }

    fn identity(json: Option<&str>) -> Identity {
        Identity {
            path: "/version".to_owned(),
            json: json.map(str::to_owned),
            service: Some("web".to_owned()),
            port: 80,
        }
    }

    #[test]
    fn an_answer_needs_both_status_and_text() {
        let check = Check {
            contains: Some("up".to_owned()),
            status: 203,
            ..check("unicorn", "app", 8080)
        };
        let identity = identity(None);
        let probes = Probe::all(std::slice::from_ref(&check), &identity, "v2");
        assert_eq!(
            probes[0].expected(),
            r#"203 with "up" from GET /up, service app on port 8080"#
        );
        assert_eq!(probes[0].judge(&reply(203, "it is up")), Ok(()));
        let faults =
            [reply(200, "up"), reply(203, "down")].map(|r| probes[0].judge(&r).unwrap_err().to_string());
        assert_eq!(faults, ["200: up", r#"203 without "up": down"#]);
    }

    #[test]
    fn only_the_very_tag_is_the_release() {
        let (plain, json) = (identity(None), identity(Some("tag")));
        let plain = &Probe::all(&[], &plain, "v2")[0];
        let json = &Probe::all(&[], &json, "v2")[0];
        assert_eq!(
            json.expected(),
            r#"v2 as "tag" of JSON from GET /version, service web on port 80"#
        );
        assert_eq!(plain.judge(&reply(200, " v2\n")), Ok(()));
        assert_eq!(json.judge(&reply(200, r#"{"tag":"v2"}"#)), Ok(()));
        let said = |probe: &Probe, status, body| probe.judge(&reply(status, body)).unwrap_err().to_string();
        assert_eq!(said(plain, 200, "v22"), "answers v22, expected v2");
        assert_eq!(said(plain, 404, "v2"), "404: v2");
        assert_eq!(said(json, 200, "v2"), "200 that names no release: v2");
    }

    #[test]
    fn the_identity_sends_the_host_header_that_the_same_port_needs() {
        let with = |name, service, port, header: &str| Check {
            host_header: Some(header.to_owned()),
            ..check(name, service, port)
        };
        let identity = identity(None);
        let header = |checks: &[Check]| {
            Probe::all(checks, &identity, "v2")
                .last()
                .and_then(|p| p.host_header.map(str::to_owned))
        };
        let (app, web) = (
            with("a", "app", 8080, "app.example.com"),
            with("w", "web", 80, "www.example.com"),
        );
        assert_eq!(header(&[app.clone(), web]).as_deref(), Some("www.example.com"));
        assert_eq!(header(&[app]).as_deref(), Some("app.example.com"));
        assert_eq!(header(&[]), None);
    }
}
