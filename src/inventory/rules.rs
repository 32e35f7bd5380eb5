//! What words may be: hostile values end here, before anything else sees them (FAULTS.md 7).

use std::time::Duration;

/// A rule: `Err` says what was expected.
pub(super) type Rule = fn(&str) -> Result<(), &'static str>;

fn all(text: &str, allowed: fn(char) -> bool) -> bool {
    !text.is_empty() && text.chars().all(allowed)
}

/// App and environment names: part of projects, labels, folders and map keys.
pub(super) fn name(text: &str) -> Result<(), &'static str> {
    let good = all(text, |c| {
        c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_'
    }) && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.len() <= 40;
    good.then_some(())
        .ok_or("lower-case letters, digits, - and _, a letter or digit first, 40 at most")
}

/// Names of hosts, routers, checks and services, for people and logs.
pub(super) fn label(text: &str) -> Result<(), &'static str> {
    let good = all(text, |c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.len() <= 100;
    good.then_some(())
        .ok_or("letters, digits, -, _ and ., a letter or digit first, 100 at most")
}

/// What SSH connects to: a host name, an alias, an IPv4 or IPv6 address.
pub(super) fn address(text: &str) -> Result<(), &'static str> {
    let good = all(text, |c| c.is_ascii_alphanumeric() || "-_.:".contains(c))
        && text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == ':')
        && text.len() <= 253;
    good.then_some(()).ok_or("a host name or an IP address")
}

/// A login name.
pub(super) fn user(text: &str) -> Result<(), &'static str> {
    let good = all(text, |c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.len() <= 64;
    good.then_some(())
        .ok_or("a login name: letters, digits, -, _ and ., a letter first")
}

/// `[user@]host[:port]`, several with commas between.
pub(super) fn jump(text: &str) -> Result<(), &'static str> {
    let hop = |hop: &str| {
        let (login, host) = hop
            .split_once('@')
            .map_or((None, hop), |(login, host)| (Some(login), host));
        let (host, port) = host
            .rsplit_once(':')
            .map_or((host, None), |(host, port)| (host, Some(port)));
        login.is_none_or(|login| user(login).is_ok())
            && address(host).is_ok()
            && !host.contains(':')
            && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
    };
    text.split(',')
        .all(hop)
        .then_some(())
        .ok_or("a jump host: [user@]host[:port]")
}

/// An absolute path on a server.
pub(super) fn remote_path(text: &str) -> Result<(), &'static str> {
    let good = all(text, |c| c.is_ascii_alphanumeric() || "-_./+@".contains(c))
        && text.starts_with('/')
        && text.len() <= 200
        && !text.split('/').any(|part| part == "..");
    good.then_some(())
        .ok_or("an absolute path of letters, digits, and -_./+@, without ..")
}

/// A path and query of an HTTP request.
pub(super) fn url_path(text: &str) -> Result<(), &'static str> {
    let good = text.starts_with('/') && text.chars().all(|c| c.is_ascii_graphic() && c != '#');
    good.then_some(()).ok_or("a path that begins with /")
}

/// The URL of a router.
pub(super) fn url(text: &str) -> Result<(), &'static str> {
    let good = reqwest::Url::parse(text).is_ok_and(|url| {
        ["http", "https"].contains(&url.scheme())
            && url.has_host()
            && url.path() == "/"
            && url.query().is_none()
    });
    good.then_some(())
        .ok_or("http://host[:port] or https://host[:port], without a path")
}

/// A registry: `host` or `host:port`.
pub(super) fn server(text: &str) -> Result<(), &'static str> {
    let (host, port) = text
        .rsplit_once(':')
        .map_or((text, None), |(host, port)| (host, Some(port)));
    let good =
        address(host).is_ok() && !host.contains(':') && port.is_none_or(|port| port.parse::<u16>().is_ok());
    good.then_some(()).ok_or("host or host:port, without https://")
}

/// Anything that can be sent to a server: no NUL.
pub(super) fn text(text: &str) -> Result<(), &'static str> {
    (!text.contains('\0'))
        .then_some(())
        .ok_or("text without a NUL byte")
}

/// Text on one line.
pub(super) fn line(text: &str) -> Result<(), &'static str> {
    (!text.is_empty() && !text.chars().any(char::is_control))
        .then_some(())
        .ok_or("text on one line")
}

/// The key of an app in a router's map.
pub(super) fn map_key(text: &str) -> Result<(), &'static str> {
    label(text)
}

/// Names of the two backends: `{pool}` stands for the pool.
pub(super) fn backend(text: &str) -> Result<(), &'static str> {
    let good = text.matches("{pool}").count() == 1 && label(&text.replace("{pool}", "blue")).is_ok();
    good.then_some(())
        .ok_or("a backend's name with {pool} in it, such as shop_{pool}")
}

/// The name of an environment variable.
pub(super) fn env_name(text: &str) -> Result<(), &'static str> {
    crate::remote::script::is_env_name(text)
        .then_some(())
        .ok_or("letters, digits and _, no digit first")
}

/// `"30s"`, `"500ms"`, `"2m"`, `"1h30m"`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let each = match &rest[..unit] {
            "ms" => Duration::from_millis(1),
            "s" => Duration::from_secs(1),
            "m" => Duration::from_secs(60),
            "h" => Duration::from_secs(3600),
            _ => return None,
        };
        total = total.checked_add(each.checked_mul(u32::try_from(number).ok()?)?)?;
        rest = &rest[unit..];
    }
    (!text.is_empty()).then_some(total)
}

/// `"1GiB"`, `"500MiB"`, in bytes.
pub(super) fn size(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = text[..digits].parse().ok()?;
    let unit = match &text[digits..] {
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_and_sizes() {
        assert_eq!(duration("1h30m"), Some(Duration::from_secs(5400)));
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        for bad in ["", "5", "s", "5x", "-5s", "1.5s", "5 s", "99999999999h"] {
            assert_eq!(duration(bad), None, "{bad:?}");
        }
        assert_eq!(size("2GiB"), Some(2 << 30));
        assert_eq!(size("2GB"), None);
    }

    #[test]
    fn what_a_shell_or_ssh_could_take_for_more_is_refused() {
        let rules: [(&str, Rule); 9] = [
            ("name", name),
            ("label", label),
            ("address", address),
            ("user", user),
            ("jump", jump),
            ("remote_path", remote_path),
            ("server", server),
            ("backend", backend),
            ("map_key", map_key),
        ];
        for (rule_name, rule) in rules {
            for bad in [
                "",
                "-oProxyCommand=id",
                "a b",
                "a;id",
                "$(id)",
                "`id`",
                "a\nb",
                "a\0b",
                "a'b",
                "a\"b",
                "a|b",
                "a&b",
                "a>b",
                "\u{202e}a",
                "a\\b",
                "a*b",
                "~",
            ] {
                assert!(rule(bad).is_err(), "{rule_name} takes {bad:?}");
            }
        }
        assert!(
            address("10.0.0.1").is_ok() && address("fe80::1").is_ok() && address("web1.example.com").is_ok()
        );
        assert!(jump("ops@bastion.example.com:2222").is_ok());
        assert!(remote_path("/home/deploy/../root").is_err());
    }

    proptest! {
        #[test]
        fn what_passes_needs_no_quoting(text in "\\PC*") {
            let rules: [Rule; 8] = [name, label, address, user, jump, remote_path, server, map_key];
            for rule in rules {
                if rule(&text).is_ok() {
                    prop_assert!(!text.starts_with('-'));
                    prop_assert!(text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:/+@,".contains(c)));
                }
            }
        }
    }
}
