//! What each kind of text takes and refuses, and that nothing hostile passes.

use proptest::prelude::*;
use proptest::string::string_regex;

use super::*;

#[test]
fn the_table_is_in_the_order_of_the_enum_and_compiles() {
    for (index, grammar) in ALL.into_iter().enumerate() {
        assert_eq!(grammar as usize, index);
        assert!(grammar.regex().as_str().len() > 4);
    }
}

#[test]
fn what_is_taken_and_what_is_refused() {
    use Grammar as G;
    for (grammar, good, bad) in [
        (
            G::Name,
            vec!["shop", "7days", "a-b_c"],
            vec!["Shop", "-a", "_a", "a.b", &"a".repeat(41)],
        ),
        (
            G::Address,
            vec![
                "web1",
                "web1.example.com",
                "10.0.0.1",
                "::1",
                "fe80::1",
                "my_alias",
            ],
            vec![
                "-oProxyCommand=id",
                "web1.",
                "a..b",
                ".a",
                "10.0.1",
                "300.1.1.1",
                "a b",
                "a;b",
                "a/b",
                "[::1]",
                ":::1",
                "a@b",
                "web1\n",
            ],
        ),
        (
            G::Server,
            vec!["web1", "deploy@web1:22", "[::1]:22", "::1", "u@[::1]"],
            vec![
                "@web1",
                "web1:",
                "web1:0",
                "web1:70000",
                "a@b@c",
                "-u@web1",
                "u@-web1",
                "[::1",
                "[web1]",
            ],
        ),
        (
            G::Jump,
            vec!["jump@bastion:22", "[::1]:22"],
            vec!["::1", "a,b", "ssh://a", "-Jx"],
        ),
        (
            G::User,
            vec!["deploy", "_x", "a.b-c"],
            vec!["-l", "1a", "a b", "$USER", "a@b", ""],
        ),
        (
            G::RemotePath,
            vec!["/srv/shop", "/a-b/c.d"],
            vec![
                "/", "", "srv", "~/x", "/a/../b", "/a/.", "/a//b", "/a/", "/a b", "/$HOME", "/a\0",
            ],
        ),
        (
            G::Socket,
            vec!["/run/haproxy/admin.sock"],
            vec!["run/x", &"/aaaaaaaaaaa".repeat(9)],
        ),
        (
            G::File,
            vec!["a.yml", "../tls/ca.pem", "~/.ssh/id", "/żółw.pem"],
            vec![
                "-f",
                "",
                "a b",
                "a\tb",
                "$(id)",
                "`id`",
                "a;b",
                "a\u{a0}b",
                "a\u{202e}b",
            ],
        ),
        (
            G::UrlPath,
            vec!["/", "/up?a=b&c=%20"],
            vec!["up", "", "/a b", "/a\r\nHost: x", "/a#b", "//$(id)"],
        ),
        (
            G::Url,
            vec!["http://lb1", "https://[::1]:8443/x"],
            vec![
                "lb1",
                "ftp://lb1",
                "http://",
                "http://u:p@lb1",
                "http://lb1:0",
                "http://lb1/?a",
            ],
        ),
        (
            G::Backend,
            vec!["{pool}", "shop_{pool}"],
            vec!["shop", "-{pool}", "a {pool}", "{pool}{pool}"],
        ),
        (
            G::Duration,
            vec!["1ms", "1h30m"],
            vec!["0s", "", "25h", "1", "1 s"],
        ),
        (G::Pause, vec!["0s"], vec!["", "25h"]),
        (
            G::Size,
            vec!["0B", "1GiB"],
            vec!["1", "GiB", "99999999999999999999B"],
        ),
        (G::EnvName, vec!["WEB_PORT", "_a1"], vec!["1A", "A-B", "A=B", ""]),
        (G::Any, vec!["", "'; rm -rf / #\n"], vec!["a\0b"]),
        (G::Secret, vec!["p'a\"s$s w"], vec!["", "a\nb", "a\0b"]),
        (
            G::Login,
            vec!["robot$shop+ci", "_json_key"],
            vec!["-u", "a b", "a;b"],
        ),
    ] {
        for text in good {
            assert!(grammar.accepts(text), "{grammar:?} refuses {text:?}");
        }
        for text in bad {
            assert!(!grammar.accepts(text), "{grammar:?} takes {text:?}");
        }
    }
}

/// Those that end up in command lines, paths or generated configuration.
const NARROW: [Grammar; 17] = [
    Grammar::Name,
    Grammar::Label,
    Grammar::Address,
    Grammar::Server,
    Grammar::Jump,
    Grammar::User,
    Grammar::RemotePath,
    Grammar::Socket,
    Grammar::File,
    Grammar::Url,
    Grammar::HostPort,
    Grammar::MapKey,
    Grammar::Backend,
    Grammar::JsonKey,
    Grammar::Service,
    Grammar::EnvName,
    Grammar::Tag,
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn nothing_hostile_passes(text in hostile(), which in 0..NARROW.len()) {
        if NARROW[which].accepts(&text) {
            prop_assert!(!text.starts_with('-'), "{text:?}");
            let bad = text.chars().find(|c| c.is_control() || c.is_whitespace() || "\"'`$&|;<>()*?!#\\".contains(*c));
            prop_assert_eq!(bad, None, "{:?} takes {:?}", NARROW[which], text);
        }
    }
}

/// Text near the edge: good parts with hostile ones among them.
pub(in crate::inventory) fn hostile() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => string_regex("[a-z0-9./:@_-]{1,6}").unwrap(),
        2 => prop::sample::select(vec![
            "-", "--", "-oProxyCommand=id", "$(id)", "`id`", ";id", "|id", "&", "\n", "\r\n", "\0", "\t", " ", "'", "\"", "\\",
            "..", "/../", "~", "*", "{pool}", "${IFS}", "\u{202e}", "\u{a0}", "\u{7f}", "[::1]", "%0a", "http://", "#", "=",
        ]).prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    prop::collection::vec(part, 0..5).prop_map(|parts| parts.concat())
}
