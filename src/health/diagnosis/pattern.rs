//! Patterns of log lines: literal text anywhere in the line, `*` for a part to remember.

/// Finds `pattern` in `line`, letter case aside, and returns what each `*` stands for: as little as
/// possible, or the rest of the line when the pattern ends with it.
pub(super) fn find<'a>(pattern: &str, line: &'a str) -> Option<Vec<&'a str>> {
    // ASCII lower case keeps every byte's place, so that offsets hold in the line itself.
    let (pattern, lower) = (pattern.to_ascii_lowercase(), line.to_ascii_lowercase());
    let mut literals = pattern.split('*');
    let first = literals.next()?;
    let mut at = lower.find(first)? + first.len();
    let mut parts = Vec::new();
    for literal in literals {
        let length = if literal.is_empty() {
            lower.len() - at
        } else {
            lower[at..].find(literal)?
        };
        parts.push(line[at..at + length].trim());
        at += length + literal.len();
    }
    Some(parts)
}

/// `{1}` in a template becomes the first part, and so on.
pub(super) fn fill(template: &str, parts: &[&str]) -> String {
    let mut text = template.to_owned();
    for (index, part) in parts.iter().enumerate() {
        text = text.replace(&format!("{{{}}}", index + 1), part);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parts_are_what_stands_between_the_literals() {
        let line =
            r#"PG::ConnectionBad: connection to server at "10.0.0.9", port 5432 failed: Connection refused"#;
        let pattern = r#"connection to server at "*", port * failed: connection refused"#;
        assert_eq!(find(pattern, line), Some(vec!["10.0.0.9", "5432"]));
        assert_eq!(find("failed: *", line), Some(vec!["Connection refused"]));
        assert_eq!(find("server*timeout", line), None);
        assert_eq!(find("REFUSED", line), Some(vec![]));
        assert_eq!(fill("{1}:{2} refuses", &["db", "5432"]), "db:5432 refuses");
    }

    proptest! {
        #[test]
        fn finds_whatever_was_put_between(
            before in "[ -~]{0,9}", host in "[a-z0-9.-]{1,20}", port in "[0-9]{1,5}", after in ".{0,9}",
        ) {
            let line = format!("{before}at <{host}>, port <{port}> fails{after}");
            prop_assert_eq!(find("at <*>, port <*> fails", &line), Some(vec![host.as_str(), port.as_str()]));
        }

        #[test]
        fn never_panics(pattern in "[a*é]{0,6}", line in "[aAéÉ\u{212a} ]{0,12}") {
            let _ = find(&pattern, &line);
        }
    }
}
