//! `[switch]`: what decides which pool is hot.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::grammar::Grammar;
use super::node::{Node, Value};
use super::pools::name_by_address;
use super::quantity;
use super::schema::OrText;
use super::server::{in_url, spread_out};

/// The `[switch]` table.
#[derive(Debug, Clone)]
pub struct Switch {
    /// Which program the routers run.
    pub connector: Connector,
    /// The routers, sorted by name: the first is where runs compare and set the epoch.
    pub routers: Vec<Router>,
    /// Requests per second that the prober sends through each router during a flip.
    pub probe_rate: u32,
    /// How long a deploy watches the new pool after it has moved traffic.
    pub bake: Duration,
    /// Longest that a deploy waits for what is still in progress on the cold pool before it replaces it.
    pub drain: Duration,
}

/// What drives the routers, with the settings of each.
#[derive(Debug, Clone)]
pub enum Connector {
    /// `connector = "haproxy"` with `[switch.haproxy]`.
    Haproxy(Haproxy),
    /// `connector = "nginx"` with `[switch.nginx]`.
    Nginx(Flag),
    /// `connector = "caddy"` with `[switch.caddy]`.
    Caddy(Flag),
    /// `connector = "envoy"` with `[switch.envoy]`.
    Envoy(Envoy),
    /// `connector = "kamal-proxy"` with `[switch.kamal_proxy]`.
    KamalProxy(KamalProxy),
    /// `connector = "exec"` with `[switch.exec]`.
    Exec(Exec),
}

impl Connector {
    /// Servers of the target pool that must be up on each router before a flip; all of them unless given.
    pub fn min_up(&self) -> Option<usize> {
        match self {
            Connector::Haproxy(settings) => settings.min_up,
            Connector::Nginx(settings) | Connector::Caddy(settings) => settings.min_up,
            Connector::Envoy(settings) => settings.min_up,
            // It moves to a pool only where it finds every server of it healthy.
            Connector::KamalProxy(_) => None,
            Connector::Exec(settings) => settings.min_up,
        }
    }
}

/// What decides which pool is hot: one or more routers in front of both pools.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SwitchTable {
    /// Which program the routers run.
    connector: ConnectorName,
    /// The routers. Each is `"[user@]host[:port]"`, as SSH reaches it, or a table.
    #[schemars(length(min = 1), with = "Vec<OrText<Router>>", example = ["lb1.example.com"])]
    routers: Vec<Router>,
    /// Requests per second that the prober sends through each router during a flip.
    #[schemars(range(min = 1, max = 1000), extend("default" = 50))]
    probe_rate: u32,
    /// How long a deploy watches the new pool through each router after it has moved traffic, and moves it back when errors rise or the old release answers again.
    #[serde(deserialize_with = "quantity::duration")]
    #[schemars(with = "String", extend("grammar" = Grammar::Pause, "default" = "0s"), example = &"2m")]
    bake: Duration,
    /// Longest that a deploy waits for requests and long connections that are still in progress on the cold pool, before it replaces what runs there and so ends them.
    #[serde(deserialize_with = "quantity::duration")]
    #[schemars(with = "String", extend("grammar" = Grammar::Pause, "default" = "10s"), example = &"1m")]
    drain: Duration,
    /// Settings for `connector = "haproxy"`.
    #[schemars(extend("default" = {}))]
    haproxy: Haproxy,
    /// Settings for `connector = "nginx"`.
    #[schemars(extend("default" = {}))]
    nginx: Flag,
    /// Settings for `connector = "caddy"`.
    #[schemars(extend("default" = {}))]
    caddy: Flag,
    /// Settings for `connector = "envoy"`.
    #[schemars(extend("default" = {}))]
    envoy: Envoy,
    /// Settings for `connector = "kamal-proxy"`.
    #[schemars(extend("default" = {}))]
    kamal_proxy: KamalProxy,
    /// Settings for `connector = "exec"`.
    #[schemars(extend("default" = {}))]
    exec: Exec,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(extend("examples" = ["haproxy"]))]
enum ConnectorName {
    Haproxy,
    Nginx,
    Caddy,
    Envoy,
    #[serde(rename = "kamal-proxy")]
    KamalProxy,
    Exec,
}

impl SwitchTable {
    /// Only the chosen connector's settings stay.
    pub(super) fn into_switch(self) -> Switch {
        let mut routers = self.routers;
        routers.sort_by(|a, b| a.name.cmp(&b.name));
        let connector = match self.connector {
            ConnectorName::Haproxy => Connector::Haproxy(self.haproxy),
            ConnectorName::Nginx => Connector::Nginx(self.nginx),
            ConnectorName::Caddy => Connector::Caddy(self.caddy),
            ConnectorName::Envoy => Connector::Envoy(self.envoy),
            ConnectorName::KamalProxy => Connector::KamalProxy(self.kamal_proxy),
            ConnectorName::Exec => Connector::Exec(self.exec),
        };
        Switch {
            connector,
            routers,
            probe_rate: self.probe_rate,
            bake: self.bake,
            drain: self.drain,
        }
    }
}

/// How pointsman flips HAProxy: by one value of a map, set in the running workers and kept in the map's file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Haproxy {
    /// Admin socket on the router (`stats socket ... level admin`).
    #[schemars(extend("grammar" = Grammar::Socket, "default" = "/run/haproxy/admin.sock"))]
    pub socket: String,
    /// Master CLI socket (`haproxy -W -S`), by which the workers that a reload left behind are reached. Not used unless given.
    #[schemars(extend("grammar" = Grammar::Socket), example = &"/run/haproxy/master.sock")]
    pub master_socket: Option<String>,
    /// Map file on the router. pointsman replaces it, so its folder must be writable for the SSH user.
    #[schemars(extend("grammar" = Grammar::RemotePath, "default" = "/etc/haproxy/pointsman/pools.map"))]
    pub map: String,
    /// Key of this app in the map.
    #[schemars(extend("grammar" = Grammar::MapKey, "derived" = "`app.name`"), example = &"shop")]
    pub key: String,
    /// Names of the two permanent backends; `{pool}` becomes `blue` and `green`.
    #[schemars(extend("grammar" = Grammar::Backend, "derived" = "`app.name` and `_{pool}`"), example = &"shop_{pool}")]
    pub backend: String,
    /// Servers of the target backend that must be UP on each router before a flip. All of them unless given.
    #[schemars(range(min = 1, max = 10_000), example = 1)]
    pub min_up: Option<usize>,
}

/// How pointsman flips nginx and Caddy: by a file that they look at for each request, there for green and not for blue.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Flag {
    /// Folder on the router for the file `green`. It must be writable for the SSH user.
    #[schemars(extend("grammar" = Grammar::RemotePath, "derived" = "`/etc/`, the connector, `/pointsman/` and `app.name`"), example = &"/var/lib/pointsman/shop")]
    pub flags: String,
    /// Port on the router's loopback address where the program says which pool it uses.
    #[schemars(range(min = 1), extend("default" = 9180))]
    pub status_port: u16,
    /// Servers of the target pool that must answer each router before a flip. All of them unless given.
    #[schemars(range(min = 1, max = 10_000), example = 1)]
    pub min_up: Option<usize>,
}

/// How pointsman flips Envoy: by a file of runtime values that it watches, one of which is the share of green.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Envoy {
    /// Folder on the router for the runtime file, which is called after the app. pointsman replaces the file, so the folder must be writable for the SSH user.
    #[schemars(extend("grammar" = Grammar::RemotePath, "default" = "/etc/envoy/pointsman"))]
    pub folder: String,
    /// Port on the router's loopback address where Envoy says what it does.
    #[schemars(range(min = 1), extend("default" = 9180))]
    pub status_port: u16,
    /// Servers of the target pool that Envoy must find healthy on each router before a flip. All of them unless given.
    #[schemars(range(min = 1, max = 10_000), example = 1)]
    pub min_up: Option<usize>,
}

/// How pointsman flips kamal-proxy: by its own `deploy`, which moves a service to all servers of a pool at once.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KamalProxy {
    /// The service's name in kamal-proxy.
    #[schemars(extend("grammar" = Grammar::MapKey, "derived" = "`app.name`"), example = &"shop")]
    pub service: String,
    /// Its command line on the router; no shell takes it apart. The SSH user must be able to run it.
    #[schemars(length(min = 1), extend("items" = {"type": "string", "grammar": Grammar::Line}, "default" = ["docker", "exec", "kamal-proxy", "kamal-proxy"]))]
    pub command: Vec<String>,
    /// What prints its state file on the router: what it does after a restart.
    #[schemars(length(min = 1), extend("items" = {"type": "string", "grammar": Grammar::Line}, "default" = ["docker", "exec", "kamal-proxy", "cat", "/home/kamal-proxy/.config/kamal-proxy/kamal-proxy.state"]))]
    pub state: Vec<String>,
    /// Options of `kamal-proxy deploy` for this service, as `--host=` and `--tls`. Each flip sets all of them, so what is missing here is taken away.
    #[schemars(extend("items" = {"type": "string", "grammar": Grammar::Line}, "default" = []), example = ["--host=shop.example.com"])]
    pub options: Vec<String>,
}

/// A program of your own on each router that says what the router does, and moves it. docs/reference/exec.md says what it reads and prints.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exec {
    /// The program, as the router has it.
    #[schemars(extend("grammar" = Grammar::RemotePath, "default" = "/usr/local/bin/pointsman-switch"))]
    pub program: String,
    /// Its arguments; no shell takes them apart.
    #[schemars(extend("items" = {"type": "string", "grammar": Grammar::Any}, "default" = []), example = ["--site", "shop"])]
    pub args: Vec<String>,
    /// Servers of the target pool that must be up, by the program's word, before a flip. All of them unless given.
    #[schemars(range(min = 1, max = 10_000), example = 1)]
    pub min_up: Option<usize>,
}

/// One router: a load balancer that is reached by SSH.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Router {
    /// Host name or IP address that SSH connects to, or an alias of `~/.ssh/config`.
    #[schemars(extend("grammar" = Grammar::Address), example = &"lb1.example.com")]
    pub address: String,
    /// Short name for people and logs.
    #[schemars(extend("grammar" = Grammar::Label, "derived" = "the address"), example = &"lb1")]
    pub name: String,
    /// SSH port. Without it `ssh.port`, then `~/.ssh/config` decides.
    #[schemars(range(min = 1), example = 22)]
    pub port: Option<u16>,
    /// SSH user. Without it `ssh.user`, then `~/.ssh/config` decides.
    #[schemars(extend("grammar" = Grammar::User), example = &"deploy")]
    pub user: Option<String>,
    /// Where the prober and the checks through this router send requests.
    #[schemars(extend("grammar" = Grammar::Url, "derived" = "`http://` and the address"), example = &"http://lb1.example.com")]
    pub url: String,
    /// `Host:` header that reaches the app through this router, if one is needed.
    #[schemars(extend("grammar" = Grammar::HostPort), example = &"shop.example.com")]
    pub host_header: Option<String>,
}

/// Before the walk: routers that are one string become tables.
pub(super) fn prepare(root: &mut Node) {
    root.items_mut(&["switch", "routers"])
        .iter_mut()
        .for_each(spread_out);
}

/// After the walk: what follows from other keys is filled in.
pub(super) fn complete(root: &mut Node) {
    for router in root.items_mut(&["switch", "routers"]) {
        name_by_address(router);
        if let Some(url) = router
            .text(&["address"])
            .map(|address| format!("http://{}", in_url(address)))
        {
            router.complete("url", Value::String(url));
        }
    }
    let Some(app) = root.text(&["app", "name"]).map(str::to_owned) else {
        return;
    };
    if let Some(haproxy) = root.get_mut(&["switch", "haproxy"]) {
        haproxy.complete("backend", Value::String(format!("{app}_{{pool}}")));
        haproxy.complete("key", Value::String(app.clone()));
    }
    if let Some(proxy) = root.get_mut(&["switch", "kamal_proxy"]) {
        proxy.complete("service", Value::String(app.clone()));
    }
    for connector in ["nginx", "caddy"] {
        if let Some(flag) = root.get_mut(&["switch", connector]) {
            flag.complete(
                "flags",
                Value::String(format!("/etc/{connector}/pointsman/{app}")),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Lab, with};
    use super::*;

    #[test]
    fn what_follows_from_other_keys() {
        let switch = Lab::new()
            .load_text(&with("switch.routers", r#"["root@[::1]:2222", "lb1"]"#))
            .expect("valid")
            .switch;
        let Connector::Haproxy(haproxy) = switch.connector else {
            panic!("{switch:?}");
        };
        assert_eq!(
            (haproxy.key.as_str(), haproxy.backend.as_str()),
            ("shop", "shop_{pool}")
        );
        assert_eq!(haproxy.socket, "/run/haproxy/admin.sock");
        assert_eq!((haproxy.master_socket, haproxy.min_up), (None, None));
        assert_eq!(switch.probe_rate, 50);
        let urls: Vec<&str> = switch.routers.iter().map(|router| router.url.as_str()).collect();
        assert_eq!(urls, ["http://[::1]", "http://lb1"]);
    }

    #[test]
    fn routers_are_sorted_by_name() {
        let routers =
            r#"["lb2", { address = "10.0.0.1", name = "lb0", url = "https://shop.example.com" }, "lb1"]"#;
        let switch = Lab::new()
            .load_text(&with("switch.routers", routers))
            .expect("valid")
            .switch;
        let names: Vec<&str> = switch.routers.iter().map(|router| router.name.as_str()).collect();
        assert_eq!(names, ["lb0", "lb1", "lb2"]);
        assert_eq!(switch.routers[0].url, "https://shop.example.com");
    }

    #[test]
    fn its_mistakes() {
        let errors = Lab::new().refused(
            &with("switch.connector", r#""haproxi""#)
                .replace("routers = [\"lb1\"]", "routers = []\nprobe_rate = 0\n[switch.haproxy]\nsocket = \"run/x\"\nbackend = \"shop\"\nmin_up = 0"),
        );
        insta::assert_snapshot!(errors, @r#"
        error: `switch.connector` has a value that does not exist
          --> production.toml:17:13
           |
        17 | connector = "haproxi"
           |             ^^^^^^^^^ expected one of `haproxy`, `nginx`, `caddy`, `envoy`, `kamal-proxy`, `exec`, found "haproxi"
           |
           = help: did you mean `haproxy`?

        error: `switch.routers` is empty
          --> production.toml:18:11
           |
        18 | routers = []
           |           ^^ expected at least 1 of them, found none

        error: `switch.probe_rate` is out of range
          --> production.toml:19:14
           |
        19 | probe_rate = 0
           |              ^ expected 1 to 1000, found 0

        error: `switch.haproxy.socket` is malformed
          --> production.toml:21:10
           |
        21 | socket = "run/x"
           |          ^^^^^^^ expected an absolute path of letters, digits, `_`, `-`, `.`, `@` and `+`, at most 107 of them, found "run/x"

        error: `switch.haproxy.backend` is malformed
          --> production.toml:22:11
           |
        22 | backend = "shop"
           |           ^^^^^^ expected letters, digits, `.`, `_` and `-` with `{pool}` among them, as in `shop_{pool}`, found "shop"

        error: `switch.haproxy.min_up` is out of range
          --> production.toml:23:10
           |
        23 | min_up = 0
           |          ^ expected 1 to 10000, found 0

        production.toml: 6 mistakes
        "#);
    }
}
