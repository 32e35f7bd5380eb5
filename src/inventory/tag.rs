//! Tags, as Docker takes them.

/// Not a tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a tag (letters, digits, _, . and -, neither . nor - first, 128 at most), found {0:?}")]
pub struct NoTag(String);

/// Checks a tag: `[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}`.
///
/// # Errors
/// When it is none; the value is shown escaped.
pub fn parse_tag(text: &str) -> Result<&str, NoTag> {
    let first = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    let rest = text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
    if first && rest && text.len() <= 128 {
        Ok(text)
    } else {
        Err(NoTag(text.to_owned()))
    }
}
