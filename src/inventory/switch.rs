//! `[switch]`: what decides which pool is hot.

use std::time::Duration;

use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::balancer::{Envoy, Exec, Flag, Haproxy, KamalProxy};
use super::check::Checker;
use super::diagnostic::Mistake;
use super::dns::{self, Dns};
use super::grammar::Grammar;
use super::node::{Entry, Node, Table, Value};
use super::pools::name_by_address;
use super::provider::{Aws, Rfc2136, Token};
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
#[allow(clippy::large_enum_variant, reason = "there is one in a run")]
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
    /// A name's records, `[switch.dns]`, at one of the providers.
    Dns(Dns, Provider),
    /// `connector = "elbv2"` with `[switch.aws]`.
    Elbv2(Aws),
}

/// Who is told which records a name has.
#[derive(Debug, Clone)]
pub enum Provider {
    /// `connector = "rfc2136"` with `[switch.rfc2136]`.
    Rfc2136(Rfc2136),
    /// `connector = "route53"` with `[switch.aws]`.
    Route53(Aws),
    /// `connector = "cloudflare"` with `[switch.cloudflare]`.
    Cloudflare(Token),
    /// `connector = "digitalocean"` with `[switch.digitalocean]`.
    Digitalocean(Token),
    /// `connector = "powerdns"` with `[switch.powerdns]`.
    Powerdns(Token),
}

impl Connector {
    /// Whether the switch is an API: no router is a machine that is reached by SSH.
    pub fn is_api(&self) -> bool {
        matches!(self, Connector::Dns(..) | Connector::Elbv2(_))
    }

    /// Servers of the target pool that must be up on each router before a flip; all of them unless given.
    pub fn min_up(&self) -> Option<usize> {
        match self {
            Connector::Haproxy(settings) => settings.min_up,
            Connector::Nginx(settings) | Connector::Caddy(settings) => settings.min_up,
            Connector::Envoy(settings) => settings.min_up,
            // It moves to a pool only where it finds every server of it healthy.
            Connector::KamalProxy(_) => None,
            Connector::Exec(settings) => settings.min_up,
            Connector::Dns(settings, _) => settings.min_up,
            Connector::Elbv2(_) => None,
        }
    }
}

/// What decides which pool is hot: one or more routers in front of both pools.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SwitchTable {
    /// Which program the routers run, or which API moves traffic.
    connector: ConnectorName,
    /// The routers. Each is `"[user@]host[:port]"`, as SSH reaches it, or a table. Connectors that are an API have none.
    #[schemars(length(min = 1), with = "Vec<OrText<Router>>", extend("derived" = "none, for connectors that are an API"), example = ["lb1.example.com"])]
    routers: Vec<Router>,
    /// Where clients send requests, and so the prober, for connectors that are an API.
    #[schemars(extend("grammar" = Grammar::Url, "derived" = "`http://` and `switch.dns.name`"), example = &"https://shop.example.com")]
    #[allow(dead_code, reason = "it is the router's, once the document is complete")]
    url: Option<String>,
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
    dns: Option<Dns>,
    rfc2136: Option<Rfc2136>,
    /// Settings for `connector = "route53"` and `connector = "elbv2"`.
    aws: Option<Aws>,
    /// Settings for `connector = "cloudflare"`.
    cloudflare: Option<Token>,
    /// Settings for `connector = "digitalocean"`.
    digitalocean: Option<Token>,
    /// Settings for `connector = "powerdns"`.
    powerdns: Option<Token>,
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
    Rfc2136,
    Route53,
    Cloudflare,
    Digitalocean,
    Powerdns,
    Elbv2,
}

/// Connectors without a router that is a machine, and the tables that each needs.
const APIS: [(&str, &[&str]); 6] = [
    ("rfc2136", &["dns", "rfc2136"]),
    ("route53", &["dns", "aws"]),
    ("cloudflare", &["dns", "cloudflare"]),
    ("digitalocean", &["dns", "digitalocean"]),
    ("powerdns", &["dns", "powerdns"]),
    ("elbv2", &["aws"]),
];

/// The one that the document names, if it is an API.
fn api(root: &Node) -> Option<&'static (&'static str, &'static [&'static str])> {
    let connector = root.text(&["switch", "connector"])?;
    APIS.iter().find(|(name, _)| *name == connector)
}

impl SwitchTable {
    /// Only the chosen connector's settings stay. `None` when what it needs is missing: [`check`] says so first.
    fn into_switch(self) -> Option<Switch> {
        let mut routers = self.routers;
        routers.sort_by(|a, b| a.name.cmp(&b.name));
        let connector = match self.connector {
            ConnectorName::Haproxy => Connector::Haproxy(self.haproxy),
            ConnectorName::Nginx => Connector::Nginx(self.nginx),
            ConnectorName::Caddy => Connector::Caddy(self.caddy),
            ConnectorName::Envoy => Connector::Envoy(self.envoy),
            ConnectorName::KamalProxy => Connector::KamalProxy(self.kamal_proxy),
            ConnectorName::Exec => Connector::Exec(self.exec),
            ConnectorName::Rfc2136 => Connector::Dns(self.dns?, Provider::Rfc2136(self.rfc2136?)),
            ConnectorName::Route53 => Connector::Dns(self.dns?, Provider::Route53(self.aws?)),
            ConnectorName::Cloudflare => Connector::Dns(self.dns?, Provider::Cloudflare(self.cloudflare?)),
            ConnectorName::Digitalocean => {
                Connector::Dns(self.dns?, Provider::Digitalocean(self.digitalocean?))
            }
            ConnectorName::Powerdns => Connector::Dns(self.dns?, Provider::Powerdns(self.powerdns?)),
            ConnectorName::Elbv2 => Connector::Elbv2(self.aws?),
        };
        Some(Switch {
            connector,
            routers,
            probe_rate: self.probe_rate,
            bake: self.bake,
            drain: self.drain,
        })
    }
}

/// Reads the table as what it means.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Switch, D::Error> {
    let table = SwitchTable::deserialize(from)?;
    table
        .into_switch()
        .ok_or_else(|| D::Error::custom("`[switch]` lacks what its connector needs"))
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
    dns::complete(root);
    if api(root).is_some() {
        the_api(root);
    }
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

/// What an API decides has one router that is no machine, named after what it moves.
fn the_api(root: &mut Node) {
    let name = root.text(&["switch", "dns", "name"]).map(str::to_owned);
    let url = root.text(&["switch", "url"]).map(str::to_owned);
    let Some(url) = url.or(name.as_ref().map(|name| format!("http://{name}"))) else {
        return;
    };
    let Some(switch) = root.get_mut(&["switch"]) else {
        return;
    };
    let place = switch.place.clone();
    let text = |text: String| Entry {
        key: place.clone(),
        node: Node::new(Value::String(text), place.clone()),
    };
    let name = name.unwrap_or_else(|| "balancer".to_owned());
    let router = Table::from([
        ("address".to_owned(), text(name.clone())),
        ("name".to_owned(), text(name)),
        ("url".to_owned(), text(url)),
    ]);
    let router = Node::new(Value::Table(router), place);
    switch.complete("routers", Value::Array(vec![router]));
}

/// What the schema cannot tell.
pub(super) fn check(checker: &mut Checker<'_>) {
    let root = checker.root;
    let Some(switch) = root.get(&["switch"]).filter(|switch| switch.table().is_some()) else {
        return;
    };
    let connector = root.text(&["switch", "connector"]).unwrap_or_default();
    let place = |key: &str| switch.get(&[key]).map_or(&switch.place, |node| &node.place);
    let missing = |key: String, place, expected: &str| {
        Mistake::at(place, key.clone(), format!("`{key}` is missing"))
            .expected(expected)
            .found("none")
    };
    let Some((_, tables)) = api(root) else {
        if switch.get(&["routers"]).is_none() {
            let mistake = missing("switch.routers".to_owned(), &switch.place, "the routers");
            checker
                .mistakes
                .add(mistake.help("add `routers = [\"lb1.example.com\"]`"));
        }
        return;
    };
    // What stands where the whole table does was filled in.
    if let Some(routers) = switch
        .get(&["routers"])
        .filter(|routers| routers.place != switch.place)
    {
        checker.mistakes.add(
            Mistake::at(
                &routers.place,
                "switch.routers",
                format!("`connector = \"{connector}\"` has no routers"),
            )
            .expected("no `routers`: the API is told, and no machine")
            .found("some"),
        );
    }
    for table in *tables {
        if switch.get(&[table]).is_none() {
            checker.mistakes.add(missing(
                format!("switch.{table}"),
                place("connector"),
                &format!("what `connector = \"{connector}\"` needs, in [switch.{table}]"),
            ));
        }
    }
    let needed: &[(&str, &str)] = match connector {
        "rfc2136" => &[("rfc2136", "server"), ("rfc2136", "key"), ("rfc2136", "secret")],
        "cloudflare" => &[("cloudflare", "token")],
        "digitalocean" => &[("digitalocean", "token")],
        "powerdns" => &[("powerdns", "token"), ("powerdns", "endpoint")],
        "elbv2" => &[("aws", "listener"), ("aws", "blue"), ("aws", "green")],
        _ => &[],
    };
    for (table, key) in needed {
        if let Some(node) = switch.get(&[table]).filter(|node| node.get(&[key]).is_none()) {
            let words = format!("a value, as `connector = \"{connector}\"` needs it");
            checker
                .mistakes
                .add(missing(format!("switch.{table}.{key}"), &node.place, &words));
        }
    }
    if connector == "elbv2" && switch.get(&["url"]).is_none() {
        checker.mistakes.add(missing(
            "switch.url".to_owned(),
            place("connector"),
            "where clients send requests, as in `url = \"https://shop.example.com\"`",
        ));
    }
    dns::check(checker);
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
           |             ^^^^^^^^^ expected one of `haproxy`, `nginx`, `caddy`, `envoy`, `kamal-proxy`, `exec`, `rfc2136`, `route53`, `cloudflare`, `digitalocean`, `powerdns`, `elbv2`, found "haproxi"
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
