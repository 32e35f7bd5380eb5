//! `[pools.blue]` and `[pools.green]`: the two groups of hosts that swap roles.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::grammar::Grammar;
use super::node::{Node, Value};
use super::schema::OrText;
use super::server::spread_out;

/// The two tracks. Which one is hot is never written here: only the switch knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pool {
    /// The pool that routers fall back to when their map has no value.
    Blue,
    /// The other one.
    Green,
}

impl Pool {
    /// Both pools, blue first.
    pub const ALL: [Pool; 2] = [Pool::Blue, Pool::Green];

    /// The other pool.
    pub fn other(self) -> Pool {
        match self {
            Pool::Blue => Pool::Green,
            Pool::Green => Pool::Blue,
        }
    }

    /// The name as it stands in inventories, router maps and project names.
    pub fn as_str(self) -> &'static str {
        match self {
            Pool::Blue => "blue",
            Pool::Green => "green",
        }
    }
}

impl fmt::Display for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The two permanent groups of hosts, `blue` and `green`, that swap roles. A host may be in both with different `env`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Pools {
    /// The pool that routers fall back to when their map has no value.
    #[schemars(extend("snippet" = "[pools.blue]\nhosts = [\"web1.example.com\"]"))]
    pub(super) blue: PoolTable,
    /// The other pool.
    #[schemars(extend("snippet" = "[pools.green]\nhosts = [\"web2.example.com\"]"))]
    pub(super) green: PoolTable,
}

/// One pool.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PoolTable {
    /// The pool's app servers. Each is `"[user@]host[:port]"` or a table.
    #[schemars(length(min = 1), with = "Vec<OrText<Host>>", example = ["web1.example.com"])]
    pub(super) hosts: Vec<Host>,
}

/// One app server of one pool. A host that is in both pools is two of these with one address.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// Host name or IP address that SSH connects to, or an alias of `~/.ssh/config`.
    #[schemars(extend("grammar" = Grammar::Address), example = &"web1.example.com")]
    pub address: String,
    /// Short name for people and logs, unique in its pool.
    #[schemars(extend("grammar" = Grammar::Label, "derived" = "the address"), example = &"web1")]
    pub name: String,
    /// SSH port. Without it `ssh.port`, then `~/.ssh/config` decides.
    #[schemars(range(min = 1), example = 22)]
    pub port: Option<u16>,
    /// SSH user. Without it `ssh.user`, then `~/.ssh/config` decides.
    #[schemars(extend("grammar" = Grammar::User), example = &"deploy")]
    pub user: Option<String>,
    /// Environment for Compose on this host only, to be interpolated by the Compose file.
    #[schemars(with = "EnvMap", extend("default" = {}), example = serde_json::json!({"WEB_PORT": "8080"}))]
    pub env: BTreeMap<String, String>,
}

/// Names and values of an environment, for the schema.
struct EnvMap;

impl JsonSchema for EnvMap {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "EnvMap".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "object",
            "propertyNames": { "grammar": Grammar::EnvName },
            "additionalProperties": { "type": "string", "grammar": Grammar::Any },
        })
    }
}

/// Before the walk: hosts that are one string become tables.
pub(super) fn prepare(root: &mut Node) {
    for pool in Pool::ALL {
        root.items_mut(&["pools", pool.as_str(), "hosts"])
            .iter_mut()
            .for_each(spread_out);
    }
}

/// After the walk: what follows from other keys is filled in.
pub(super) fn complete(root: &mut Node) {
    for pool in Pool::ALL {
        root.items_mut(&["pools", pool.as_str(), "hosts"])
            .iter_mut()
            .for_each(name_by_address);
    }
}

/// The name of a server that has none is its address.
pub(super) fn name_by_address(server: &mut Node) {
    if let Some(address) = server.text(&["address"]).map(str::to_owned) {
        server.complete("name", Value::String(address));
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Lab, with};
    use super::*;

    #[test]
    fn a_host_is_a_string_or_a_table() {
        let pools = Lab::new()
            .load_text(&with(
                "pools.blue.hosts",
                r#"["web1", "deploy@10.0.0.2:2222", "[::1]:22", { address = "10.0.0.4", name = "four", env = { WEB_PORT = "80'; id" } }]"#,
            ))
            .expect("valid")
            .pools;
        let host = |name: &str, address: &str, port, user: Option<&str>, env: &[(&str, &str)]| Host {
            name: name.to_owned(),
            address: address.to_owned(),
            port,
            user: user.map(str::to_owned),
            env: env
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
        };
        assert_eq!(
            pools[&Pool::Blue],
            [
                host("web1", "web1", None, None, &[]),
                host("10.0.0.2", "10.0.0.2", Some(2222), Some("deploy"), &[]),
                host("::1", "::1", Some(22), None, &[]),
                host("four", "10.0.0.4", None, None, &[("WEB_PORT", "80'; id")]),
            ]
        );
    }

    #[test]
    fn mistakes_in_hosts_are_all_said() {
        let errors = Lab::new().refused(&with(
            "pools.blue.hosts",
            r#"["-oProxyCommand=id", 7, { address = "a b", port = 0, naem = "x", env = { "1A" = "x", B = 8080 } }, {}]"#,
        ));
        insta::assert_snapshot!(errors, @r#"
        error: `pools.blue.hosts[0]` is malformed
         --> production.toml:9:10
          |
        9 | hosts = ["-oProxyCommand=id", 7, { address = "a b", port = 0, naem = "x", env = { "1A" = "x", B = 8080 } }, {}]
          |          ^^^^^^^^^^^^^^^^^^^ expected `[user@]host[:port]`, with an IPv6 address in brackets before a port, found "-oProxyCommand=id"

        error: `pools.blue.hosts[1]` has the wrong type
         --> production.toml:9:31
          |
        9 | hosts = ["-oProxyCommand=id", 7, { address = "a b", port = 0, naem = "x", env = { "1A" = "x", B = 8080 } }, {}]
          |                               ^ expected a string or a table, found an integer
          |
          = help: put it in quotes: "7"

        error: `pools.blue.hosts[2].address` is malformed
         --> production.toml:9:46
          |
        9 | hosts = ["-oProxyCommand=id", 7, { address = "a b", port = 0, naem = "x", env = { "1A" = "x", B = 8080 } }, {}]
          |                                              ^^^^^ expected a host name or an IP address, found "a b"

        error: `pools.blue.hosts[2].port` is out of range
         --> production.toml:9:60
          |
        9 | hosts = ["-oProxyCommand=id", 7, { address = "a b", port = 0, naem = "x", env = { "1A" = "x", B = 8080 } }, {}]
          |                                                            ^ expected 1 to 65535, found 0

        error: `pools.blue.hosts[2]` has no key `naem`
         --> production.toml:9:63
          |
        9 | hosts = ["-oProxyCommand=id", 7, { address = "a b", port = 0, naem = "x", env = { "1A" = "x", B = 8080 } }, {}]
          |                                                               ^^^^ expected one of `address`, `name`, `port`, `user`, `env`, found `naem`
          |
          = help: did you mean `name`?

        error: "1A" is no key of `pools.blue.hosts[2].env`
         --> production.toml:9:83
          |
        9 | hosts = ["-oProxyCommand=id", 7, { address = "a b", port = 0, naem = "x", env = { "1A" = "x", B = 8080 } }, {}]
          |                                                                                   ^^^^ expected letters, digits and `_`, no digit first, found "1A"

        error: `pools.blue.hosts[2].env.B` has the wrong type
         --> production.toml:9:99
          |
        9 | hosts = ["-oProxyCommand=id", 7, { address = "a b", port = 0, naem = "x", env = { "1A" = "x", B = 8080 } }, {}]
          |                                                                                                   ^^^^ expected a string, found an integer
          |
          = help: put it in quotes: "8080"

        error: `pools.blue.hosts[3].address` is missing
         --> production.toml:9:109
          |
        9 | hosts = ["-oProxyCommand=id", 7, { address = "a b", port = 0, naem = "x", env = { "1A" = "x", B = 8080 } }, {}]
          |                                                                                                             ^^ expected host name or IP address that SSH connects to, or an alias of `~/.ssh/config`, found none
          |
          = help: add `address = "web1.example.com"`

        production.toml: 8 mistakes
        "#);
    }

    #[test]
    fn both_pools_have_hosts() {
        let lab = Lab::new();
        let errors = lab.refused(&with("pools.green.hosts", "[]"));
        assert!(errors.contains("`pools.green.hosts` is empty"), "{errors}");
        let errors = lab.refused(&Lab::BASE.replace("[pools.green]", "[pools.gren]"));
        insta::assert_snapshot!(errors, @"
        error: `pools` has no key `gren`
          --> production.toml:10:8
           |
        10 | [pools.gren]
           |        ^^^^ expected one of `blue`, `green`, found `gren`
           |
           = help: did you mean `green`?

        production.toml: 1 mistake
        ");
    }
}
