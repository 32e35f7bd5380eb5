//! What the logs say: causes by the table, a Ruby exception at boot, then symptoms.

use super::rules::{CAUSES, Rule, SYMPTOMS, matched};
use super::{Diagnosis, Evidence};
use crate::health::fault::Fault;
use crate::health::text::tidy;

/// A line that names the cause: the newest of the service to blame, else of the others, else a fact
/// about the host. The newest, since a start may have waited for a database that came in the end.
pub(super) fn cause(evidence: &Evidence) -> Option<Diagnosis> {
    in_logs(evidence, CAUSES).or_else(|| {
        evidence.facts.lines().rev().find_map(|line| {
            matched(CAUSES, line).map(|(what, cure)| Diagnosis {
                what,
                why: format!("the host: {}", tidy(line)),
                cure: cure.to_owned(),
                service: None,
            })
        })
    })
}

/// Another's complaint about the app: only where nothing is heard of the app itself. An app that
/// answers, or that accepts and hangs, is not the one that a proxy could not connect to while it booted.
pub(super) fn symptom(evidence: &Evidence) -> Option<Diagnosis> {
    let unheard = match evidence.faults.first() {
        Some(Fault::Status { found, .. }) => [502, 504].contains(found),
        Some(Fault::Silent { .. } | Fault::NoRelease { .. } | Fault::Garbled { .. }) => false,
        _ => true,
    };
    if !unheard {
        return None;
    }
    in_logs(evidence, SYMPTOMS)
}

fn in_logs(evidence: &Evidence, rules: &[Rule]) -> Option<Diagnosis> {
    evidence.logs.iter().find_map(|(service, lines)| {
        lines.iter().rev().find_map(|line| {
            matched(rules, line).map(|(what, cure)| Diagnosis {
                what,
                why: format!("service {service}: {}", tidy(line)),
                cure: cure.to_owned(),
                service: Some(service.clone()),
            })
        })
    })
}

/// A Ruby exception: the first line of the last one that was logged.
pub(super) fn exception(evidence: &Evidence) -> Option<Diagnosis> {
    // One that was logged does not explain an app that hangs, redirects or is another release.
    let explained = match evidence.faults.first() {
        None | Some(Fault::NotRunning { .. } | Fault::Refused { .. } | Fault::Closed { .. }) => true,
        Some(Fault::Status { found, .. }) => *found >= 500,
        Some(_) => false,
    };
    if !explained {
        return None;
    }
    evidence.logs.iter().find_map(|(service, lines)| {
        let (line, class) = lines.iter().rev().find_map(|line| Some((line, class_of(line)?)))?;
        Some(Diagnosis {
            what: format!("service {service} raised {class}"),
            why: format!("service {service}: {}", tidy(line)),
            cure: "correct it in the app; the stack trace is in the log below, and the old release keeps serving"
                .to_owned(),
            service: Some(service.clone()),
        })
    })
}

/// The class of the exception that this line reports: `...: message (NameError)` as Ruby ends a
/// program, or `NameError (message):` as Rails logs a failed request.
fn class_of(line: &str) -> Option<&str> {
    let line = line.trim_end();
    if let Some(open) = line
        .rfind(" (")
        .filter(|_| line.ends_with(')') && line.contains(": "))
    {
        let class = &line[open + 2..line.len() - 1];
        return is_exception(class).then_some(class);
    }
    let (before, _) = line.strip_suffix("):")?.split_once(" (")?;
    let class = before.rsplit(' ').next()?;
    is_exception(class).then_some(class)
}

/// Ruby's and Rails' exceptions are constants that say so, or stand in a module.
fn is_exception(class: &str) -> bool {
    let constant = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_uppercase())
            && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    class.split("::").all(constant)
        && (class.contains("::")
            || ["Error", "Exception", "Exit"]
                .iter()
                .any(|end| class.ends_with(end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exception_is_known_by_its_class() {
        let boot = "config/application.rb:9:in `<module:Shop>': undefined method `foo' for nil:NilClass (NoMethodError)";
        assert_eq!(class_of(boot), Some("NoMethodError"));
        assert_eq!(
            class_of("F, [2024-05-01T10:00:00.1 #7] FATAL -- : [ab-12] ActionView::Template::Error (nil):"),
            Some("ActionView::Template::Error")
        );
        assert_eq!(
            class_of("ZeroDivisionError (divided by 0):"),
            Some("ZeroDivisionError")
        );
        for no in [
            "I, [..] INFO -- : worker=0 ready",
            "Completed 200 OK in 5ms (Views: 1.2ms)",
            "note: see above (RFC)",
            "):",
            " (",
            "",
        ] {
            assert_eq!(class_of(no), None, "{no}");
        }
    }
}
