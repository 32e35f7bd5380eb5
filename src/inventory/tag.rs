//! The tag of a release, as `deploy TAG` takes it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::diagnostic::shown;
use super::grammar::Grammar;

/// An image tag: `[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}`, as Docker's registries define it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tag(String);

/// Not a tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a tag ({}), found {}", Grammar::Tag.words(), shown(.found))]
pub struct TagError {
    /// What was given.
    pub found: String,
}

/// Reads a tag.
///
/// # Errors
/// When it is not in the grammar of Docker's registries.
pub fn parse_tag(text: &str) -> Result<Tag, TagError> {
    if Grammar::Tag.accepts(text) {
        Ok(Tag(text.to_owned()))
    } else {
        Err(TagError {
            found: text.to_owned(),
        })
    }
}

impl Tag {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl TryFrom<String> for Tag {
    type Error = TagError;

    fn try_from(text: String) -> Result<Tag, TagError> {
        parse_tag(&text)
    }
}

impl From<Tag> for String {
    fn from(tag: Tag) -> String {
        tag.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tags() {
        for good in ["v1", "75_db4b44b", "_x", "1.2.3-rc.1", &"a".repeat(128)] {
            assert_eq!(parse_tag(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "-v1",
            ".v1",
            "v1\n",
            "a b",
            "a:b",
            "a/b",
            "$(id)",
            "é",
            &"a".repeat(129),
        ] {
            assert!(parse_tag(bad).is_err(), "{bad:?}");
        }
        insta::assert_snapshot!(parse_tag("--rm\n").unwrap_err(), @r#"expected a tag (letters, digits, `_`, `.` and `-`, first no `.` or `-`, at most 128 of them), found "--rm\n""#);
    }

    proptest! {
        #[test]
        fn only_what_the_registries_define(text in any::<String>()) {
            let bytes = text.as_bytes();
            let word = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
            let fits = bytes.first().is_some_and(word)
                && bytes.len() <= 128
                && bytes.iter().all(|b| word(b) || matches!(b, b'.' | b'-'));
            prop_assert_eq!(parse_tag(&text).is_ok(), fits);
        }
    }
}
