//! How Route 53 writes names and values: octal escapes, quoted strings, dots at the end.
//! <https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/ResourceRecordTypes.html>

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::inventory::Pool;
use crate::switch::dns::Kind;

/// Longest string inside of a TXT record, in bytes (RFC 1035). A longer text is several of them.
const STRING: usize = 255;

/// What tells a pool's sets from the other's, where both stand side by side.
pub(super) fn identifier(pool: Pool) -> String {
    format!("pointsman-{pool}")
}

/// A name as a [`crate::switch::dns::RecordSet`] has it: escapes undone, lower case, no dot at its end.
pub(super) fn name(written: &str) -> String {
    let bytes = unescaped(written);
    let name = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
    name.strip_suffix('.').unwrap_or(&name).to_owned()
}

/// A value as a record set has it, from what Route 53 gives.
pub(super) fn value(kind: Kind, written: &str) -> String {
    let written = written.trim();
    match kind {
        Kind::A => written
            .parse::<Ipv4Addr>()
            .map_or_else(|_| written.to_owned(), |address| address.to_string()),
        Kind::Aaaa => written
            .parse::<Ipv6Addr>()
            .map_or_else(|_| written.to_owned(), |address| address.to_string()),
        Kind::Cname => name(written),
        Kind::Txt => text(written),
    }
}

/// A value as Route 53 takes it.
pub(super) fn written(kind: Kind, value: &str) -> String {
    match kind {
        Kind::A | Kind::Aaaa => value.to_owned(),
        Kind::Cname => format!("{value}."),
        Kind::Txt => quoted(value),
    }
}

/// The strings of a text, put together.
fn text(written: &str) -> String {
    let mut bytes = Vec::with_capacity(written.len());
    let mut rest = written;
    while let Some(start) = rest.find('"') {
        let inside = &rest[start + 1..];
        let end = end_of_string(inside);
        bytes.extend(unescaped(&inside[..end]));
        rest = inside.get(end + 1..).unwrap_or_default();
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Where the quote is that ends a string.
fn end_of_string(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at,
            _ => {}
        }
    }
    text.len()
}

/// `\052` is a byte by its octal number; before anything else a backslash only protects it.
fn unescaped(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte != b'\\' {
            out.push(byte);
            at += 1;
        } else if let Some(octal) = octal(bytes.get(at + 1..at + 4)) {
            out.push(octal);
            at += 4;
        } else {
            out.extend(bytes.get(at + 1));
            at += 2;
        }
    }
    out
}

fn octal(digits: Option<&[u8]>) -> Option<u8> {
    let digits = digits?;
    if !digits.iter().all(|digit| (b'0'..=b'7').contains(digit)) {
        return None;
    }
    let number = digits
        .iter()
        .fold(0_u32, |number, digit| number * 8 + u32::from(digit - b'0'));
    u8::try_from(number).ok()
}

/// A text as quoted strings of at most 255 bytes each.
fn quoted(text: &str) -> String {
    let strings: Vec<String> = text
        .as_bytes()
        .chunks(STRING)
        .map(|string| {
            let escaped: String = string.iter().map(|byte| escaped(*byte)).collect();
            format!("\"{escaped}\"")
        })
        .collect();
    if strings.is_empty() {
        return "\"\"".to_owned();
    }
    strings.join(" ")
}

fn escaped(byte: u8) -> String {
    match byte {
        b'"' | b'\\' => format!("\\{}", char::from(byte)),
        b' '..=b'~' => char::from(byte).to_string(),
        _ => format!("\\{byte:03o}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_route_53_gives_is_read() {
        assert_eq!(name("\\052.Example.COM."), "*.example.com");
        assert_eq!(
            name("f\\374bar.example.com.").len(),
            "f\u{fffd}bar.example.com".len()
        );
        assert_eq!(
            value(Kind::Aaaa, "2001:0DB8:85a3:0:0:8a2e:0370:7334"),
            "2001:db8:85a3::8a2e:370:7334"
        );
        assert_eq!(value(Kind::Cname, "Blue.Example.com."), "blue.example.com");
        assert_eq!(
            value(Kind::Txt, r#""v=1 \"x\" \\" "and\040more""#),
            r#"v=1 "x" \and more"#
        );
        assert_eq!(value(Kind::Txt, r#""cut \"#), "cut ");
        assert_eq!(value(Kind::Txt, "\"\""), "");
    }

    #[test]
    fn long_texts_are_several_strings() {
        let written = written(Kind::Txt, &"x".repeat(600));
        let lengths: Vec<usize> = written.split(' ').map(|string| string.len() - 2).collect();
        assert_eq!(lengths, [255, 255, 90]);
        assert_eq!(super::written(Kind::Txt, ""), "\"\"");
        assert_eq!(super::written(Kind::Cname, "a.example.com"), "a.example.com.");
    }

    proptest! {
        #[test]
        fn a_text_survives(text in "(\\PC|[\"\\\\0-9\t]){0,600}") {
            prop_assert_eq!(value(Kind::Txt, &written(Kind::Txt, &text)), text);
        }

        #[test]
        fn whatever_comes_is_read(text in "[\"\\\\0-9a ]{0,40}") {
            let _ = (value(Kind::Txt, &text), name(&text));
        }
    }
}
