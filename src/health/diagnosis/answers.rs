//! What the checks were answered.

use super::{Diagnosis, Evidence};
use crate::health::fault::{Fault, Place};

/// The host is well and is not the release that was deployed.
pub(super) fn another_release(evidence: &Evidence) -> Option<Diagnosis> {
    let fault @ Fault::OtherRelease { expected, found } = evidence.faults.first()? else {
        return None;
    };
    Some(told(
        fault,
        None,
        format!(
            "the host answers {found}, expected {expected}: a stale image, or a wrong tag baked into the image"
        ),
        "check that the Compose file takes its image by ${DEPLOY_TAG}, and that the image's build writes that very tag to what the identity path answers",
    ))
}

/// The app runs and turns the check away by its own rules.
pub(super) fn turned_away(evidence: &Evidence) -> Option<Diagnosis> {
    evidence.faults.iter().find_map(|fault| {
        let Fault::Status { found, line, location, .. } = fault else { return None };
        let line = line.to_ascii_lowercase();
        let (what, cure) = match (found, location) {
            (300..=399, Some(to)) if to.starts_with("https:") => (
                format!("the app redirects every request to {to}"),
                "let the check's path through without TLS (Rails: config.ssl_options = { redirect: { exclude: ... } }, or config.assume_ssl = true behind a proxy)",
            ),
            (300..=399, Some(to)) => (
                format!("the path redirects to {to}"),
                "let the check ask a path that answers by itself, without a login",
            ),
            (403, _) if line.contains("blocked host") => (
                "Rails refuses the Host header".to_owned(),
                "set host_header in the check to a name that config.hosts has, or let the path through (config.host_authorization = { exclude: ... })",
            ),
            (401 | 403, _) => (
                format!("the path wants a login (status {found})"),
                "let the check ask a path that is open to all",
            ),
            (404, _) => (
                "the path does not exist in this release".to_owned(),
                "correct the path of the check (or of identity) in the inventory, or add the route to the app",
            ),
            _ => return None,
        };
        Some(told(fault, None, what, cure))
    })
}

/// A proxy answers for an app that does not: nginx up and Unicorn down.
pub(super) fn behind_a_proxy(evidence: &Evidence) -> Option<Diagnosis> {
    let word = evidence.faults.iter().find(|fault| fault.is_second_hand())?;
    let down = evidence
        .containers
        .iter()
        .find(|c| c.state != "running")
        .map(|c| {
            (
                c.service.clone(),
                format!(
                    "service {} is {} (last exit code {})",
                    c.service, c.state, c.exit_code
                ),
            )
        });
    let refused = || {
        evidence.faults.iter().find_map(|fault| match fault {
            Fault::Refused {
                place:
                    place @ Place {
                        service: Some(service),
                        ..
                    },
            } => Some((service.clone(), format!("nothing listens in {place}"))),
            _ => None,
        })
    };
    let (service, what) = match down.or_else(refused) {
        Some((service, what)) => (Some(service), what),
        None => (None, "the app behind it does not answer".to_owned()),
    };
    Some(told(
        word,
        service,
        format!("nginx runs, but {what}"),
        "read the app's log below: it ended, still boots, or listens on another port or only on 127.0.0.1",
    ))
}

/// What is left: the answer itself, in other words.
pub(super) fn plain(evidence: &Evidence) -> Option<Diagnosis> {
    evidence.faults.iter().find_map(|fault| {
        let (service, what, cure) = match fault {
            Fault::NoContainer { service } => (
                None,
                format!("there is no container of service {service}"),
                "correct the service's name in the inventory, or add it to the Compose file",
            ),
            Fault::Refused { place } => (
                place.service.clone(),
                format!("nothing listens: {place}"),
                "if the app has booted, it listens on another port or only on 127.0.0.1: bind to 0.0.0.0, or correct the port in the inventory; if it still boots, raise start_timeout",
            ),
            Fault::Closed { place } => (
                place.service.clone(),
                format!("{place} hangs up on every request"),
                "check that the port speaks plain HTTP (not TLS, not FastCGI), and that its worker does not crash on this path",
            ),
            Fault::Garbled { place, .. } => (
                place.service.clone(),
                format!("{place} does not speak HTTP"),
                "correct the port in the inventory: it may be a TLS or a database port",
            ),
            Fault::Silent { place, .. } => (
                place.service.clone(),
                format!("{place} takes connections but hangs"),
                "find what the app waits for (a database lock, an API, all workers busy); if the path is slow by nature, raise the check's timeout",
            ),
            Fault::Status { found: 500, .. } => {
                (None, "the app runs, but answers 500".to_owned(), "look for the exception in the app's log (log/production.log, if it does not log to standard output)")
            }
            Fault::NoRelease { .. } => (
                None,
                "the identity path answers, but not with a tag".to_owned(),
                "correct identity (path, json) in the inventory, or let the app answer its tag there",
            ),
            _ => return None,
        };
        Some(told(fault, service, what, cure))
    })
}

fn told(fault: &Fault, service: Option<String>, what: String, cure: &str) -> Diagnosis {
    Diagnosis {
        what,
        why: format!("the check's answer: {fault}"),
        cure: cure.to_owned(),
        service,
    }
}
