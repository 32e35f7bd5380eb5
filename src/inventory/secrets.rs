//! What must not be shown of an inventory's text: passwords that were written into it.

use std::sync::LazyLock;

use regex::bytes::Regex;

/// A key that sounds secret and its value, which may be quoted in any of TOML's ways and may lack its end.
#[allow(
    clippy::expect_used,
    reason = "a constant; every test that renders a message compiles it"
)]
static PASSWORD: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r#"(?is-u)(?:passw|secret|token|credential)[a-z0-9_-]*["']?[ \t]*=[ \t]*"#,
        r#"("""(.*?)(?:"""|\z)|'''(.*?)(?:'''|\z)|"((?:\\.|[^"\\\n])*)|'([^'\n]*)|([^"'\s,}][^\n]*))"#
    ))
    .expect("the pattern is valid")
});

/// The password of a URL, up to the last `@` of its text: a `/` or `@` that should have been encoded included.
#[allow(
    clippy::expect_used,
    reason = "a constant; every test that renders a message compiles it"
)]
static URL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?-u)[A-Za-z][A-Za-z0-9+.-]*://[^:@/\s"'\n]*:([^\s"'\n]+)@"#).expect("the pattern is valid")
});

/// Whether a value is nothing but the name of an environment variable.
#[allow(
    clippy::expect_used,
    reason = "a constant; every test that renders a message compiles it"
)]
static REFERENCE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\A(?-u)\$\{[A-Za-z0-9_]*\}?\z").expect("the pattern is valid"));

/// The text with each password's bytes replaced by `*`, so that all places in it stay what they are.
pub(super) fn masked(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for captures in PASSWORD.captures_iter(text.as_bytes()) {
        let value = (2..=6).find_map(|group| captures.get(group));
        if let Some(value) = value.filter(|value| !REFERENCE.is_match(value.as_bytes())) {
            for byte in &mut bytes[value.range()] {
                if *byte != b'\n' {
                    *byte = b'*';
                }
            }
        }
    }
    for captures in URL.captures_iter(text.as_bytes()) {
        if let Some(value) = captures
            .get(1)
            .filter(|value| !REFERENCE.is_match(value.as_bytes()))
        {
            bytes[value.range()].fill(b'*');
        }
    }
    String::from_utf8(bytes).unwrap_or_default()
}

/// Whether an environment variable sounds as if its value were secret.
pub(super) fn sounds_secret(variable: &str) -> bool {
    let upper = variable.to_ascii_uppercase();
    ["PASS", "SECRET", "TOKEN", "KEY", "CREDENTIAL"]
        .iter()
        .any(|word| upper.contains(word))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn passwords_are_masked_however_they_are_written() {
        for (text, expected) in [
            (r#"password = "hunter2""#, r#"password = "*******""#),
            (r#"password = 'hunter2'"#, r#"password = '*******'"#),
            (r#"password = "hun\"ter" # x"#, r#"password = "********" # x"#),
            (
                r#"registry = { server = "a", password="x", ca = "b" }"#,
                r#"registry = { server = "a", password="*", ca = "b" }"#,
            ),
            (r#"registry."password" = "x""#, r#"registry."password" = "*""#),
            (
                "password = \"unclosed\nname = \"a\"",
                "password = \"********\nname = \"a\"",
            ),
            (
                "password = \"\"\"a\nb\"\"\"\nc = 1",
                "password = \"\"\"*\n*\"\"\"\nc = 1",
            ),
            ("password = bare words\nc = 1", "password = **********\nc = 1"),
            (
                r#"password = "${DOCKER_PASS:-hunter2}""#,
                r#"password = "***********************""#,
            ),
            (r#"env = { API_TOKEN = "x" }"#, r#"env = { API_TOKEN = "*" }"#),
            (r#"password = "${DOCKER_PASS}""#, r#"password = "${DOCKER_PASS}""#),
            (
                r#"url = "postgresql://ci:hun/t@er2@db:5432/x" # a@b"#,
                r#"url = "postgresql://ci:*********@db:5432/x" # a@b"#,
            ),
            (
                r#"url = "postgresql://ci:${DB_PASS}@db/x""#,
                r#"url = "postgresql://ci:${DB_PASS}@db/x""#,
            ),
            (r#"url = "http://[::1]:80/a""#, r#"url = "http://[::1]:80/a""#),
        ] {
            assert_eq!(masked(text), expected);
        }
    }

    proptest! {
        #[test]
        fn no_quoted_password_is_left_and_no_place_moves(secret in "[a-z0-9 #,{}=]{6,20}", lead in "[a-z=\n ]{0,20}") {
            prop_assume!(!lead.contains("password"));
            let text = format!("{lead}\npassword = \"{secret}\"\nname = \"a\"");
            let masked = masked(&text);
            prop_assert!(!masked.contains(&secret));
            prop_assert_eq!(masked.len(), text.len());
            prop_assert!(masked.ends_with("\nname = \"a\""));
        }
    }
}
