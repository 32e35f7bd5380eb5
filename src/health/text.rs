//! Text from servers made fit for a message: one line, bounded, no control characters, no passwords.

use std::time::Duration;

/// Longest line that is shown; a Rails error page or a log line of JSON is cut here.
const LONGEST: usize = 200;

/// One line of a server's text: control characters (they could drive the terminal) become spaces,
/// passwords in URLs are masked, and what is too long is cut.
pub(crate) fn tidy(line: &str) -> String {
    let plain = without_escapes(line);
    let masked = masked(plain.trim());
    match masked.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &masked[..at]),
        None => masked,
    }
}

/// The first line of an answer's body that says something: the title, if it is a page of HTML.
pub(crate) fn headline(body: &str) -> String {
    if let Some(title) = between(body, "<title>", "</title>").or_else(|| between(body, "<h1>", "</h1>")) {
        return tidy(title);
    }
    tidy(body.lines().find(|line| !line.trim().is_empty()).unwrap_or(""))
}

/// A duration as people say it: `340 ms`, `12 s`, `2 min 5 s`.
pub(crate) fn human(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 60, seconds % 60) {
        (0, 0) => format!("{} ms", duration.as_millis()),
        (0, _) if duration.subsec_millis() >= 100 && seconds < 10 => {
            format!("{:.1} s", duration.as_secs_f64())
        }
        (0, s) => format!("{s} s"),
        (m, 0) => format!("{m} min"),
        (m, s) => format!("{m} min {s} s"),
    }
}

fn between<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    let from = text.find(open)? + open.len();
    let to = from + text[from..].find(close)?;
    Some(&text[from..to])
}

/// Colours of loggers go as a whole; any other control character becomes a space.
fn without_escapes(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' && chars.next_if_eq(&'[').is_some() {
            while chars.next().is_some_and(|c| !('@'..='~').contains(&c)) {}
        } else if c.is_control() {
            plain.push(' ');
        } else {
            plain.push(c);
        }
    }
    plain
}

/// `postgres://shop:secret@db/shop` without its password.
fn masked(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        // Not ended by a slash: a password may hold one, and masking too much is the lesser fault.
        let end = after
            .find(|c: char| c.is_whitespace() || "\"'<>".contains(c))
            .unwrap_or(after.len());
        let authority = &after[..end];
        match authority
            .rsplit_once('@')
            .and_then(|(login, host)| Some((login.split_once(':')?.0, host)))
        {
            Some((user, host)) => {
                out.push_str(user);
                out.push_str(":***@");
                out.push_str(host);
            }
            None => out.push_str(authority),
        }
        rest = &after[end..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_is_made_fit_for_a_message() {
        assert_eq!(tidy("  \u{1b}[31mFATAL\u{1b}[0m\tno\u{7} \n"), "FATAL no");
        assert_eq!(
            tidy("no db at postgres://shop:s3:c/r@t@db:5432/shop, nor redis://r:6379"),
            "no db at postgres://shop:***@db:5432/shop, nor redis://r:6379"
        );
        assert_eq!(tidy(&"é".repeat(300)).chars().count(), LONGEST + 1);
    }

    #[test]
    fn a_page_is_known_by_its_title() {
        assert_eq!(
            headline("<!DOCTYPE html>\n<html><head>\n<title>We're sorry (500)</title>"),
            "We're sorry (500)"
        );
        assert_eq!(headline("<html>\n<h1>502 Bad Gateway</h1>"), "502 Bad Gateway");
        assert_eq!(headline("\n\n database: down\nmore"), "database: down");
        assert_eq!(headline(""), "");
    }

    #[test]
    fn durations_are_said_as_people_say_them() {
        let said = [0, 340, 1_000, 1_500, 12_345, 60_000, 125_000].map(|ms| human(Duration::from_millis(ms)));
        assert_eq!(
            said,
            ["0 ms", "340 ms", "1 s", "1.5 s", "12 s", "1 min", "2 min 5 s"]
        );
    }

    proptest! {
        #[test]
        fn nothing_can_drive_the_terminal(line in any::<String>()) {
            prop_assert!(!tidy(&line).chars().any(char::is_control));
        }

        #[test]
        fn a_password_in_a_url_is_never_shown(
            before in "[a-z ]{0,9}", user in "[a-z]{1,5}", password in "[0-9]{6,9}", host in "[a-z.]{1,9}", after in "[ /'][a-z/]{0,9}",
        ) {
            let line = format!("{before}x://{user}:{password}@{host}{after}");
            prop_assert!(!tidy(&line).contains(&password));
            prop_assert!(tidy(&line).contains(&host));
        }
    }
}
