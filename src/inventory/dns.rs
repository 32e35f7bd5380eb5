//! `[switch.dns]`: the name whose records decide which pool is hot, for every DNS connector.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::check::Checker;
use super::diagnostic::{Mistake, shown};
use super::grammar::Grammar;
use super::node::{Node, Value};
use super::pools::Pool;
use super::quantity;

/// The name that clients resolve, and the records of each pool. For the connectors `rfc2136`, `route53`, `cloudflare`, `digitalocean` and `powerdns`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dns {
    /// The name whose records are one pool's or the other's.
    #[schemars(extend("grammar" = Grammar::DnsName), example = &"shop.example.com")]
    pub name: String,
    /// The zone that it is in.
    #[schemars(extend("grammar" = Grammar::DnsName, "derived" = "the name without its first label"), example = &"example.com")]
    pub zone: String,
    /// The name whose text keeps pointsman's note: epoch, lock, claims, and the tags, images and digests of what was proven. It is as public as the zone, and must be in it.
    #[schemars(extend("grammar" = Grammar::DnsName, "derived" = "`_pointsman.` and the name"), example = &"_pointsman.shop.example.com")]
    pub note: String,
    /// Blue's records: addresses, or one other name for a CNAME.
    #[schemars(length(min = 1), extend("items" = {"type": "string", "grammar": Grammar::Address}, "derived" = "the addresses of blue's hosts, where they are IP addresses"), example = ["192.0.2.1", "192.0.2.2"])]
    pub blue: Vec<String>,
    /// Green's records.
    #[schemars(length(min = 1), extend("items" = {"type": "string", "grammar": Grammar::Address}, "derived" = "the addresses of green's hosts, where they are IP addresses"), example = ["192.0.2.3", "192.0.2.4"])]
    pub green: Vec<String>,
    /// How long resolvers may keep an answer: after a flip, clients meet the old pool for so long. A higher one that is found is lowered by the next deploy, and waited out before it flips.
    #[serde(deserialize_with = "quantity::duration")]
    #[schemars(with = "String", extend("grammar" = Grammar::Duration, "default" = "30s"))]
    pub ttl: Duration,
    /// The zone's authoritative servers, `host` or `host:port`, all of which must give out the new records before a flip counts. Those of its NS records unless given.
    #[schemars(extend("items" = {"type": "string", "grammar": Grammar::HostPort}, "default" = []), example = ["ns1.example.com", "ns2.example.com"])]
    pub nameservers: Vec<String>,
    /// Recursive resolvers that the prober asks, as clients do; this machine's own unless given.
    #[schemars(extend("items" = {"type": "string", "grammar": Grammar::HostPort}, "default" = []), example = ["192.0.2.53"])]
    pub resolvers: Vec<String>,
    /// Longest that all authoritative servers may take to give out the new records; a secondary that takes longer leads the flip back.
    #[serde(deserialize_with = "quantity::duration")]
    #[schemars(with = "String", extend("grammar" = Grammar::Duration, "default" = "1m"))]
    pub settle: Duration,
    /// What a deploy does when clients still come to the pool that it is to replace, though every honest cache has moved and `switch.drain` has passed.
    #[schemars(extend("default" = "refuse"))]
    pub stragglers: Stragglers,
    /// Whether the pool that the name has left hands the requests that caches still lead to it on to the other one, so that a flip takes effect at once. Its nginx includes `/etc/nginx/pointsman/*.conf` in its `server`, and the Compose file mounts `${POINTSMAN_FORWARD}` there.
    #[schemars(extend("default" = false))]
    pub tail_forward: bool,
    /// Addresses of the target pool that must answer from here before a flip. All of them unless given.
    #[schemars(range(min = 1, max = 10_000), example = 1)]
    pub min_up: Option<usize>,
}

/// What becomes of clients that come to a pool which no name leads to any more: the deploy is refused and the pool kept
/// running, or they are ended, with a warning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(
    missing_docs,
    reason = "documented variants are no plain list in the schema, which the reader needs"
)]
pub enum Stragglers {
    Refuse,
    End,
}

impl Dns {
    /// The TTL in whole seconds, as records have it: at least one.
    pub fn ttl_s(&self) -> u32 {
        u32::try_from(self.ttl.as_secs()).unwrap_or(u32::MAX).max(1)
    }

    /// A pool's records.
    pub fn records(&self, pool: Pool) -> &[String] {
        match pool {
            Pool::Blue => &self.blue,
            Pool::Green => &self.green,
        }
    }
}

/// After the walk: what follows from the name and the pools is filled in.
pub(super) fn complete(root: &mut Node) {
    for key in ["name", "zone", "note"] {
        // Names are compared with what servers answer, which need not keep the case.
        if let Some(Value::String(text)) = root.get_mut(&["switch", "dns", key]).map(|node| &mut node.value) {
            text.make_ascii_lowercase();
        }
    }
    let Some(name) = root.text(&["switch", "dns", "name"]).map(str::to_owned) else {
        return;
    };
    let addresses = |pool: Pool| -> Option<Vec<String>> {
        let hosts = root.items(&["pools", pool.as_str(), "hosts"]);
        let of = |host: &Node| Some(host.text(&["address"])?.trim_matches(['[', ']']).to_owned());
        let all: Option<Vec<String>> = hosts.iter().map(of).collect();
        all.filter(|all| all.iter().all(|address| address.parse::<IpAddr>().is_ok()))
    };
    let records = Pool::ALL.map(|pool| (pool, addresses(pool)));
    let Some(dns) = root.get_mut(&["switch", "dns"]) else {
        return;
    };
    let place = dns.place.clone();
    for (pool, addresses) in records {
        if let Some(addresses) = addresses {
            let item = |address| Node::new(Value::String(address), place.clone());
            let items = addresses.into_iter().map(item).collect();
            dns.complete(pool.as_str(), Value::Array(items));
        }
    }
    let zone = name.split_once('.').map_or(name.as_str(), |(_, zone)| zone);
    dns.complete("zone", Value::String(zone.to_owned()));
    dns.complete("note", Value::String(format!("_pointsman.{name}")));
}

/// What the schema cannot tell.
pub(super) fn check(checker: &mut Checker<'_>) {
    let Some(dns) = checker.root.get(&["switch", "dns"]) else {
        return;
    };
    for key in ["name", "note"] {
        outside(checker, dns, key);
    }
    for pool in Pool::ALL {
        records(checker, dns, pool);
    }
    let values = |pool: Pool| -> Vec<&str> {
        let mut values: Vec<&str> = dns
            .items(&[pool.as_str()])
            .iter()
            .filter_map(|item| item.text(&[]))
            .collect();
        values.sort_unstable();
        values
    };
    mounts(checker, dns);
    kinds(checker, dns);
    let (blue, green) = (values(Pool::Blue), values(Pool::Green));
    if let Some(node) = dns.get(&["green"])
        && !blue.is_empty()
        && blue == green
    {
        checker.mistakes.add(
            Mistake::at(
                &node.place,
                "switch.dns.green",
                "both pools have the same records",
            )
            .expected("records that tell the pools apart")
            .found(green.join(", ")),
        );
    }
}

/// The types of a pool's records: `A`, `AAAA`, or `CNAME` alone.
fn kinds_of(dns: &Node, pool: Pool) -> BTreeSet<&'static str> {
    let items = dns.items(&[pool.as_str()]);
    let kind = |value: &str| match value.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => "A",
        Ok(IpAddr::V6(_)) => "AAAA",
        Err(_) => "CNAME",
    };
    items.iter().filter_map(|item| item.text(&[]).map(kind)).collect()
}

/// A flip must leave no type without an answer: that there is none is kept by caches as well, and longer than a TTL says.
fn kinds(checker: &mut Checker<'_>, dns: &Node) {
    let [blue, green] = Pool::ALL.map(|pool| kinds_of(dns, pool));
    if blue.is_empty() || green.is_empty() || blue == green {
        return;
    }
    let provider = checker.root.text(&["switch", "connector"]).unwrap_or_default();
    let one_by_one = ["cloudflare", "digitalocean"].contains(&provider);
    let named = blue.contains("CNAME") || green.contains("CNAME");
    // Everywhere else a CNAME and addresses take each other's place in one change, and a CNAME answers every type.
    if named && !one_by_one {
        return;
    }
    let words = |kinds: &BTreeSet<&str>| kinds.iter().copied().collect::<Vec<_>>().join(" and ");
    let (problem, expected, help) = if named {
        (
            format!("a CNAME of one pool and addresses of the other cannot change places at {provider}"),
            "addresses for both pools, or a CNAME for both: the name would be without a record for a moment",
            "let the CNAME be replaced by the addresses that it leads to",
        )
    } else {
        (
            "the pools have addresses of different families".to_owned(),
            "IPv4 addresses (A) in both pools or in none, IPv6 addresses (AAAA) in both or in none: \
             clients of the missing family would be told that there is no address",
            "give the missing addresses with `switch.dns.blue` and `switch.dns.green`, or leave the family out of both",
        )
    };
    checker.mistakes.add(
        Mistake::at(
            &dns.get(&["green"]).unwrap_or(dns).place,
            "switch.dns.green",
            problem,
        )
        .expected(expected)
        .found(format!("{} for blue, {} for green", words(&blue), words(&green)))
        .help(help),
    );
}

/// What hands requests on must reach nginx.
fn mounts(checker: &mut Checker<'_>, dns: &Node) {
    let Some(node) = dns
        .get(&["tail_forward"])
        .filter(|node| matches!(node.value, Value::Boolean(true)))
    else {
        return;
    };
    let Some(compose) = checker.root.text(&["app", "compose"]) else {
        return;
    };
    // One that cannot be read was told already.
    if std::fs::read_to_string(compose).map_or(true, |text| text.contains("POINTSMAN_FORWARD")) {
        return;
    }
    checker.mistakes.add(
        Mistake::at(
            &node.place,
            "switch.dns.tail_forward",
            "`switch.dns.tail_forward` needs a mount in the Compose file",
        )
        .expected("`${POINTSMAN_FORWARD}` mounted for the service that is nginx")
        .found("no such mount")
        .help("add `- ${POINTSMAN_FORWARD}:/etc/nginx/pointsman:ro` to its `volumes`, and `include /etc/nginx/pointsman/*.conf;` to its `server`"),
    );
}

/// A name must be in the zone.
fn outside(checker: &mut Checker<'_>, dns: &Node, key: &str) {
    let (Some(name), Some(zone)) = (dns.text(&[key]), dns.text(&["zone"])) else {
        return;
    };
    let end = format!(".{zone}");
    if name.ends_with(&end) || name == zone {
        return;
    }
    let node = dns.get(&[key]).unwrap_or(dns);
    checker.mistakes.add(
        Mistake::at(
            &node.place,
            format!("switch.dns.{key}"),
            format!("`switch.dns.{key}` is outside the zone"),
        )
        .expected(format!("a name that ends in {end}"))
        .found_text(node, name),
    );
}

/// A pool has addresses, or one name.
fn records(checker: &mut Checker<'_>, dns: &Node, pool: Pool) {
    let key = format!("switch.dns.{pool}");
    let Some(node) = dns.get(&[pool.as_str()]) else {
        let hosts = dns.get(&["name"]).unwrap_or(dns);
        checker.mistakes.add(
            Mistake::at(&hosts.place, &key, format!("`{key}` is missing"))
                .expected(format!(
                    "the addresses under which clients reach {pool}, as its hosts are not given by IP address"
                ))
                .found("none")
                .help(format!("add `{pool} = [\"192.0.2.1\"]` to [switch.dns]")),
        );
        return;
    };
    let values: Vec<&str> = dns
        .items(&[pool.as_str()])
        .iter()
        .filter_map(|item| item.text(&[]))
        .collect();
    let names = values.iter().filter(|value| value.parse::<IpAddr>().is_err());
    if let Some(name) = names.clone().next()
        && values.len() > 1
    {
        checker.mistakes.add(
            Mistake::at(
                &node.place,
                &key,
                format!("`{key}` mixes a name with other records"),
            )
            .expected("addresses only, or one name alone: a CNAME stands alone")
            .found(format!("{} among {} records", shown(name), values.len())),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::switch::Connector;
    use super::super::testing::Lab;
    use super::*;

    const PROVIDER: &str = "[switch.rfc2136]\nserver = \"ns1\"\nkey = \"k\"\nsecret = \"c2VjcmV0\"\n";

    fn text(dns: &str) -> String {
        Lab::BASE.replace(
            Lab::SWITCH,
            &format!("[switch]\nconnector = \"rfc2136\"\n{PROVIDER}[switch.dns]\n{dns}"),
        )
    }

    #[test]
    fn what_follows_from_the_name_and_the_pools() {
        let given = "name = \"Shop.example.com\"\nblue = [\"192.0.2.1\"]\ngreen = [\"lb.example.net\"]\n";
        let switch = Lab::new().load_text(&text(given)).expect("valid").switch;
        let Connector::Dns(dns, _) = &switch.connector else {
            panic!("{switch:?}");
        };
        assert_eq!(
            (dns.name.as_str(), dns.zone.as_str(), dns.note.as_str()),
            ("shop.example.com", "example.com", "_pointsman.shop.example.com")
        );
        assert_eq!(dns.ttl, Duration::from_secs(30));
        assert_eq!(
            (switch.routers.len(), switch.routers[0].url.as_str()),
            (1, "http://shop.example.com")
        );
        let by_hosts = text("name = \"shop.example.com\"\n")
            .replace(r#"["web1", "web2"]"#, r#"["192.0.2.1", "[2001:db8::1]"]"#)
            .replace(r#"["web3", "web4"]"#, r#"["192.0.2.3", "2001:db8::3"]"#);
        let switch = Lab::new().load_text(&by_hosts).expect("valid").switch;
        let Connector::Dns(dns, _) = &switch.connector else {
            panic!("{switch:?}");
        };
        assert_eq!(dns.records(Pool::Blue), ["192.0.2.1", "2001:db8::1"]);
    }

    #[test]
    fn its_mistakes() {
        let lab = Lab::new();
        let refused = |dns: &str| lab.refused(&text(dns));
        insta::assert_snapshot!(refused(
            "name = \"shop.example.com\"\nzone = \"example.net\"\nblue = [\"192.0.2.1\", \"a.example.net\"]\n"
        ));
        insta::assert_snapshot!(refused(
            "name = \"shop.example.com\"\nblue = [\"192.0.2.1\"]\ngreen = [\"192.0.2.1\"]\n"
        ));
        insta::assert_snapshot!(refused(
            "name = \"shop.example.com\"\nblue = [\"192.0.2.1\", \"2001:db8::1\"]\ngreen = [\"192.0.2.2\"]\n"
        ));
        let cloudflare = "[switch]\nconnector = \"cloudflare\"\n[switch.cloudflare]\ntoken = \"t\"\n[switch.dns]\n\
                          name = \"shop.example.com\"\nblue = [\"192.0.2.1\"]\ngreen = [\"lb.example.net\"]\n";
        insta::assert_snapshot!(lab.refused(&Lab::BASE.replace(Lab::SWITCH, cloudflare)));
        let bare = Lab::BASE.replace(
            Lab::SWITCH,
            "[switch]\nconnector = \"rfc2136\"\nrouters = [\"lb1\"]\n",
        );
        insta::assert_snapshot!(lab.refused(&bare));
        insta::assert_snapshot!(lab.refused(&Lab::BASE.replace("routers = [\"lb1\"]\n", "")));
        let balancer = Lab::BASE.replace(
            Lab::SWITCH,
            "[switch]\nconnector = \"elbv2\"\n[switch.aws]\nblue = \"arn:aws:x\"\n",
        );
        insta::assert_snapshot!(lab.refused(&balancer));
    }
}
