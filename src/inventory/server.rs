//! `[user@]host[:port]`, as hosts, routers and jump hosts may be given in one string.

use super::grammar::{Grammar, is_address};
use super::node::{Entry, Node, Table, Value};

/// The parts of `[user@]host[:port]`. An IPv6 address stands in brackets, or alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServerText<'a> {
    pub(super) user: Option<&'a str>,
    pub(super) address: &'a str,
    pub(super) port: Option<u16>,
}

impl<'a> ServerText<'a> {
    /// Takes the text apart; `None` when the address cannot exist or the port is none.
    pub(super) fn parse(text: &'a str) -> Option<ServerText<'a>> {
        let (user, rest) = match text.split_once('@') {
            Some((user, rest)) => (Some(user), rest),
            None => (None, text),
        };
        let (address, port) = if let Some(bracketed) = rest.strip_prefix('[') {
            let (address, after) = bracketed.split_once(']')?;
            if !address.contains(':') {
                return None;
            }
            match after {
                "" => (address, None),
                _ => (address, Some(after.strip_prefix(':')?)),
            }
        } else {
            match rest.split_once(':') {
                // More than one colon: a bare IPv6 address.
                Some((_, more)) if more.contains(':') => (rest, None),
                Some((address, port)) => (address, Some(port)),
                None => (rest, None),
            }
        };
        let port = match port {
            Some(digits) => Some(digits.parse().ok().filter(|port| *port > 0)?),
            None => None,
        };
        (!address.is_empty() && is_address(address)).then_some(ServerText { user, address, port })
    }
}

/// An address as it stands in a URL.
pub(super) fn in_url(address: &str) -> String {
    if address.contains(':') {
        format!("[{address}]")
    } else {
        address.to_owned()
    }
}

/// A server that is one string becomes a table, all of it standing where the string does. Any other
/// text stays, for the walk to refuse.
pub(super) fn spread_out(node: &mut Node) {
    let Value::String(text) = &node.value else { return };
    let Some(server) = ServerText::parse(text).filter(|_| Grammar::Server.accepts(text)) else {
        return;
    };
    let parts = [
        ("address", Some(Value::String(server.address.to_owned()))),
        ("user", server.user.map(|user| Value::String(user.to_owned()))),
        ("port", server.port.map(|port| Value::Integer(port.into()))),
    ];
    let table: Table = parts
        .into_iter()
        .filter_map(|(key, value)| {
            let node = Node {
                value: value?,
                place: node.place.clone(),
                secret: node.secret,
            };
            Some((
                key.to_owned(),
                Entry {
                    key: node.place.clone(),
                    node,
                },
            ))
        })
        .collect();
    node.value = Value::Table(table);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Option<(Option<&str>, &str, Option<u16>)> {
        ServerText::parse(text).map(|server| (server.user, server.address, server.port))
    }

    #[test]
    fn the_parts_of_a_server() {
        assert_eq!(parts("web1"), Some((None, "web1", None)));
        assert_eq!(
            parts("deploy@web1:2222"),
            Some((Some("deploy"), "web1", Some(2222)))
        );
        assert_eq!(parts("::1"), Some((None, "::1", None)));
        assert_eq!(parts("u@[fe80::1]:22"), Some((Some("u"), "fe80::1", Some(22))));
        assert_eq!(parts("[::1]"), Some((None, "::1", None)));
        for bad in [
            "",
            "web1:",
            "web1:x",
            "web1:0",
            "web1:65536",
            "[::1",
            "[::1]x",
            "[web1]",
            "a@",
            "[::1]:",
        ] {
            assert_eq!(parts(bad), None, "{bad}");
        }
    }

    #[test]
    fn ipv6_addresses_have_brackets_in_urls() {
        assert_eq!(in_url("::1"), "[::1]");
        assert_eq!(in_url("lb1"), "lb1");
    }
}
