//! What each kind of text may be made of: the only gate between an inventory and the servers.
//!
//! One table serves the reader, the JSON Schema (as `pattern`) and the messages. What is sent to a
//! server is quoted as well (`remote::Script`); this keeps out what no quoting helps against, such
//! as a host name that `ssh` takes for an option (FAULTS.md 7).

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;
use serde::{Deserialize, Serialize};

use super::quantity::{LONGEST, parse_duration, parse_size};
use super::server::ServerText;

/// A kind of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Grammar {
    /// Name of an app or environment: part of project, folder and map names.
    Name,
    /// Short name of a server or check in messages.
    Label,
    /// Host name, IP address or alias of `~/.ssh/config`.
    Address,
    /// Name in the DNS; a label may begin with `_`.
    DnsName,
    /// An address with user and port, as a host or router may be given in one string.
    Server,
    /// The same for ProxyJump, which takes IPv6 addresses only in brackets.
    Jump,
    /// SSH login name.
    User,
    /// Absolute path on a server.
    RemotePath,
    /// Unix socket on a server.
    Socket,
    /// File on this machine, checked to exist and made absolute.
    File,
    /// File on this machine that is only looked at while the inventory is put together.
    Extends,
    /// Path and query of a request.
    UrlPath,
    /// Base URL of a router.
    Url,
    /// `host` or `host:port`.
    HostPort,
    /// Key of a router's map.
    MapKey,
    /// Name of a backend with a place for the pool.
    Backend,
    /// Path into a JSON document.
    JsonKey,
    /// Compose service.
    Service,
    /// Name of an environment variable.
    EnvName,
    /// Anything that a shell can hold.
    Any,
    /// One line of text.
    Line,
    /// Login name of a registry.
    Login,
    /// One line that must not be shown.
    Secret,
    /// A duration above zero.
    Duration,
    /// A duration that may be zero.
    Pause,
    /// A number of bytes.
    Size,
    /// Image tag.
    Tag,
}

/// Host names and IPv4 addresses.
macro_rules! host {
    () => {
        r"[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?)*"
    };
}
macro_rules! dns_label {
    () => {
        r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?"
    };
}
macro_rules! ipv6 {
    () => {
        r"[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*"
    };
}
macro_rules! user {
    () => {
        r"[A-Za-z_][A-Za-z0-9_.-]{0,31}"
    };
}
macro_rules! remote_path {
    () => {
        r"(?:/[A-Za-z0-9_@+.-]+)+"
    };
}
/// What a shell, `ssh_config` or a careless reader would not take as it stands.
macro_rules! file {
    () => {
        r#"[^\x00-\x20\x7f"'`$&|;<>(){}\[\]*?!#\\-][^\x00-\x20\x7f"'`$&|;<>(){}\[\]*?!#\\]*"#
    };
}

/// How a kind of text is told and recognised.
struct Spec {
    /// In words, for "expected ...".
    words: &'static str,
    /// The whole text, in the part that Rust's and JavaScript's expressions share.
    pattern: &'static str,
    /// Most bytes.
    longest: usize,
}

impl Grammar {
    #[rustfmt::skip]
    fn spec(self) -> Spec {
        let (words, pattern, longest) = match self {
            Grammar::Name => ("lower-case letters, digits, `-` and `_`, first a letter or digit, at most 40 of them", r"[a-z0-9][a-z0-9_-]{0,39}", 40),
            Grammar::Label => ("letters, digits, `.`, `_` and `-`, first a letter or digit, at most 100 of them", r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", 100),
            // 253 is the longest name of the DNS.
            Grammar::Address => ("a host name or an IP address", concat!(host!(), "|", ipv6!()), 253),
            Grammar::DnsName => ("a name of the DNS", concat!(dns_label!(), r"(?:\.", dns_label!(), ")*"), 253),
            Grammar::Server => ("`[user@]host[:port]`, with an IPv6 address in brackets before a port", concat!("(?:", user!(), "@)?(?:", host!(), r"(?::[0-9]{1,5})?|", ipv6!(), r"|\[", ipv6!(), r"\](?::[0-9]{1,5})?)"), 300),
            Grammar::Jump => ("`[user@]host[:port]`, with an IPv6 address in brackets", concat!("(?:", user!(), "@)?(?:", host!(), r"|\[", ipv6!(), r"\])(?::[0-9]{1,5})?"), 300),
            Grammar::User => ("letters, digits, `.`, `_` and `-`, first a letter or `_`, at most 32 of them", user!(), 32),
            Grammar::RemotePath => ("an absolute path of letters, digits, `_`, `-`, `.`, `@` and `+`, without `..` and without a `/` at its end", remote_path!(), 400),
            // A socket's address has 108 bytes, one of them for the end.
            Grammar::Socket => ("an absolute path of letters, digits, `_`, `-`, `.`, `@` and `+`, at most 107 of them", remote_path!(), 107),
            Grammar::File | Grammar::Extends => ("a path without spaces, quotes and characters that shells take apart, not starting with `-`", file!(), 4000),
            Grammar::UrlPath => ("a path that starts with `/`, anything unusual in it percent-encoded", r"/[A-Za-z0-9._~%/?&=+,:@-]*", 2000),
            Grammar::Url => ("`http://host[:port][/path]` or `https://...`", concat!("https?://(?:", host!(), r"|\[", ipv6!(), r"\])(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~%/+,:@-]*)?"), 2000),
            Grammar::HostPort => ("`host` or `host:port`", concat!("(?:", host!(), r"|\[", ipv6!(), r"\])(?::[0-9]{1,5})?"), 260),
            Grammar::MapKey => ("letters, digits, `.`, `_` and `-`, first a letter or digit, at most 100 of them", r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", 100),
            Grammar::Backend => ("letters, digits, `.`, `_` and `-` with `{pool}` among them, as in `shop_{pool}`", r"(?:[A-Za-z0-9_][A-Za-z0-9._-]*)?\{pool\}[A-Za-z0-9._-]*", 100),
            Grammar::JsonKey => ("keys of letters, digits, `_` and `-`, with dots between them", r"[A-Za-z0-9_][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_][A-Za-z0-9_-]*)*", 200),
            Grammar::Service => ("the name of a Compose service", r"[A-Za-z0-9][A-Za-z0-9._-]*", 200),
            Grammar::EnvName => ("letters, digits and `_`, no digit first", r"[A-Za-z_][A-Za-z0-9_]*", 200),
            Grammar::Any => ("text without a NUL byte", r"[^\x00]*", 100_000),
            Grammar::Line => ("one line of text without control characters", r"[^\x00-\x1f\x7f]+", 10_000),
            Grammar::Login => ("letters, digits and `.`, `_`, `-`, `+`, `@`, `$`, first no `-`", r"[A-Za-z0-9._+@$][A-Za-z0-9._+@$-]*", 255),
            Grammar::Secret => ("one line of text without control characters", r"[^\x00-\x1f\x7f]+", 65_536),
            Grammar::Duration => ("a duration as `\"500ms\"`, `\"30s\"`, `\"2m\"` or `\"1h30m\"`, above zero and at most 24h", r"(?:[0-9]+h)?(?:[0-9]+m)?(?:[0-9]+s)?(?:[0-9]+ms)?", 40),
            Grammar::Pause => ("a duration as `\"500ms\"`, `\"30s\"`, `\"2m\"` or `\"1h30m\"`, at most 24h", r"(?:[0-9]+h)?(?:[0-9]+m)?(?:[0-9]+s)?(?:[0-9]+ms)?", 40),
            Grammar::Size => ("a size as `\"512MiB\"`, `\"1GiB\"` or `\"20GB\"`", r"[0-9]+(?:[kMGT]B|[KMGT]iB|B)", 40),
            Grammar::Tag => ("letters, digits, `_`, `.` and `-`, first no `.` or `-`, at most 128 of them", r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", 128),
        };
        Spec { words, pattern, longest }
    }

    /// In words, for "expected ...".
    pub(super) fn words(self) -> &'static str {
        self.spec().words
    }

    /// As a regular expression for editors. A value that refers to a variable is let through: only
    /// the reader knows what stands in it.
    pub(super) fn editor_pattern(self) -> String {
        format!(r"^(?:{})$|\$\{{", self.spec().pattern)
    }

    /// Whether its values must not be shown.
    pub(super) fn is_secret(self) -> bool {
        self == Grammar::Secret
    }

    /// Whether the text is of this kind.
    pub(super) fn accepts(self, text: &str) -> bool {
        let spec = self.spec();
        text.len() <= spec.longest
            && self.regex().is_match(text)
            && !(self != Grammar::Any && text.chars().any(is_deceptive))
            && self.makes_sense(text)
    }

    /// What an expression cannot tell.
    fn makes_sense(self, text: &str) -> bool {
        match self {
            Grammar::Address => is_address(text),
            Grammar::Server | Grammar::Jump | Grammar::HostPort => ServerText::parse(text).is_some(),
            Grammar::Url => {
                let rest = text.trim_start_matches("https://").trim_start_matches("http://");
                ServerText::parse(rest.split('/').next().unwrap_or_default()).is_some()
            }
            Grammar::RemotePath | Grammar::Socket => text.split('/').all(|part| part != "." && part != ".."),
            Grammar::Duration => {
                parse_duration(text).is_some_and(|span| span > Duration::ZERO && span <= LONGEST)
            }
            Grammar::Pause => parse_duration(text).is_some_and(|span| span <= LONGEST),
            Grammar::Size => parse_size(text).is_some(),
            _ => true,
        }
    }

    fn regex(self) -> &'static Regex {
        static REGEXES: LazyLock<Vec<Regex>> = LazyLock::new(|| {
            ALL.iter()
                .map(|grammar| {
                    let whole = format!(r"\A(?:{})\z", grammar.spec().pattern);
                    #[allow(clippy::expect_used, reason = "constants; a test compiles each")]
                    Regex::new(&whole).expect("every pattern is valid")
                })
                .collect()
        });
        &REGEXES[self as usize]
    }
}

/// Every kind, in the order of the enum.
#[rustfmt::skip]
const ALL: [Grammar; 27] = [
    Grammar::Name, Grammar::Label, Grammar::Address, Grammar::DnsName, Grammar::Server, Grammar::Jump, Grammar::User,
    Grammar::RemotePath, Grammar::Socket, Grammar::File, Grammar::Extends, Grammar::UrlPath, Grammar::Url,
    Grammar::HostPort, Grammar::MapKey, Grammar::Backend, Grammar::JsonKey, Grammar::Service, Grammar::EnvName,
    Grammar::Any, Grammar::Line, Grammar::Login, Grammar::Secret, Grammar::Duration, Grammar::Pause,
    Grammar::Size, Grammar::Tag,
];

/// Whether it is a host name or an IP address that can exist.
pub(super) fn is_address(text: &str) -> bool {
    if text.contains(':') {
        return text.parse::<Ipv6Addr>().is_ok();
    }
    // `300.1.2.3` and `10.0.1` are mistyped addresses, not names: no top-level domain is a number.
    let last = text.rsplit('.').next().unwrap_or_default();
    if text.contains('.') && last.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse::<Ipv4Addr>().is_ok();
    }
    // 63 is the longest label of the DNS.
    text.len() <= 253 && text.split('.').all(|label| label.len() <= 63)
}

/// Control characters and white space beyond ASCII, and marks that reorder or hide text.
fn is_deceptive(c: char) -> bool {
    (c.is_control() || (c.is_whitespace() && c != ' '))
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
pub(super) mod tests;
