//! Texts as zone files write them: quoted strings of at most 255 bytes each (RFC 1035, section 5.1).

use std::fmt::Write as _;

/// Most bytes of one string.
const STRING: usize = 255;

/// A text in quotes, in as many strings as it takes.
pub(in crate::switch::dns) fn quoted(text: &str) -> String {
    if text.is_empty() {
        return "\"\"".to_owned();
    }
    let mut out = String::with_capacity(text.len() + 16);
    for (number, string) in text.as_bytes().chunks(STRING).enumerate() {
        out.push_str(if number == 0 { "\"" } else { " \"" });
        for &byte in string {
            match byte {
                b'"' | b'\\' => {
                    out.push('\\');
                    out.push(char::from(byte));
                }
                b' '..=b'~' => out.push(char::from(byte)),
                // Writing to a string does not fail.
                _ => drop(write!(out, "\\{byte:03}")),
            }
        }
        out.push('"');
    }
    out
}

/// The text of quoted strings, put together. What is not in quotes is taken as it is: providers write both.
pub(in crate::switch::dns) fn plain(content: &str) -> String {
    if !content.trim_start().starts_with('"') {
        return content.to_owned();
    }
    let mut out = Vec::with_capacity(content.len());
    let mut within = false;
    let mut bytes = content.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => within = !within,
            b'\\' => out.extend(escaped(&mut bytes)),
            // Between two strings.
            b' ' | b'\t' if !within => {}
            _ => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// What follows a backslash: three digits are a byte, anything else is itself.
fn escaped(bytes: &mut std::str::Bytes<'_>) -> Option<u8> {
    let first = bytes.next()?;
    if !first.is_ascii_digit() {
        return Some(first);
    }
    let rest = bytes
        .clone()
        .take(2)
        .filter(u8::is_ascii_digit)
        .collect::<Vec<u8>>();
    let [second, third] = rest[..] else {
        return Some(first);
    };
    bytes.nth(1);
    let number = [first, second, third]
        .iter()
        .fold(0u32, |number, digit| number * 10 + u32::from(digit - b'0'));
    u8::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn strings_are_cut_quoted_and_escaped() {
        assert_eq!(quoted(""), r#""""#);
        assert_eq!(quoted(r#"a "b" \c ;"#), r#""a \"b\" \\c ;""#);
        assert_eq!(quoted("é\n"), r#""\195\169\010""#);
        let long = quoted(&"x".repeat(256));
        assert_eq!(long, format!("\"{}\" \"x\"", "x".repeat(255)));
        assert_eq!(plain("v=spf1 -all"), "v=spf1 -all");
        assert_eq!(plain(r#""a" "b\059""#), "ab;");
        assert_eq!(plain(r#""a\"#), "a");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(text in ".{0,600}") {
            prop_assert_eq!(plain(&quoted(&text)), text);
        }

        #[test]
        fn nothing_breaks_the_reader(content in ".*") {
            plain(&format!("\"{content}"));
        }
    }
}
