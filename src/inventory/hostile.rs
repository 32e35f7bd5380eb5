//! Hostile text in every field: refused with a message, never taken, never a panic (FAULTS.md 7).

use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::Value as Json;

use super::grammar::tests::hostile;
use super::schema::annotated;
use super::testing::Lab;

/// Every key of the schema once, so that every field is tried.
const FULL: &str = r#"
extends = "empty.toml"
env = "production"
[app]
name = "shop"
path = "/srv/shop"
compose = "compose.yml"
env_file = "empty.toml"
identity = { path = "/version", json = "tag", service = "web", port = 80 }
keep_releases = 3
pull_timeout = "1m"
pull_stall = "10s"
start_timeout = "1m"
disk_margin = "1GiB"
[registry]
server = "registry:5000"
username = "ci"
password = "x"
ca = "empty.toml"
[ssh]
user = "deploy"
port = 22
identity = "empty.toml"
jump = "bastion"
known_hosts = "empty.toml"
config = "empty.toml"
connect_timeout = "5s"
max_connects = 8
[pools.blue]
hosts = ["web1", { address = "web2", name = "two", port = 22, user = "u", env = { WEB_PORT = "80" } }]
[pools.green]
hosts = ["web3", { address = "web4", name = "four", port = 22, user = "u", env = { WEB_PORT = "80" } }]
[[checks]]
name = "nginx"
service = "web"
port = 80
path = "/up"
status = 200
contains = "ok"
host_header = "shop.example.com"
successes = 1
min_healthy = "0s"
interval = "1s"
timeout = "1s"
[migrate]
service = "app"
command = ["bin/rails", "db:migrate"]
timeout = "1m"
database_url = "DATABASE_URL"
wait = "1s"
watch = ["/up"]
watch_for = "1s"
[switch]
connector = "haproxy"
routers = ["lb1", { address = "lb2", name = "two-lb", port = 22, user = "u", url = "http://lb2", host_header = "shop" }]
url = "http://shop"
probe_rate = 50
bake = "1s"
drain = "1s"
[switch.haproxy]
socket = "/run/a.sock"
master_socket = "/run/b.sock"
map = "/etc/pools.map"
key = "shop"
backend = "shop_{pool}"
min_up = 1
[switch.nginx]
flags = "/etc/flags"
status_port = 9180
min_up = 1
[switch.caddy]
flags = "/etc/flags"
status_port = 9180
min_up = 1
[switch.envoy]
folder = "/etc/envoy/pointsman"
status_port = 9180
min_up = 1
[switch.kamal_proxy]
service = "shop"
command = ["kamal-proxy"]
state = ["cat", "state"]
options = ["--tls"]
[switch.exec]
program = "/usr/local/bin/switch"
args = ["a b"]
min_up = 1
[switch.dns]
name = "shop.example.com"
zone = "example.com"
note = "_pointsman.shop.example.com"
blue = ["192.0.2.1"]
green = ["192.0.2.2"]
ttl = "30s"
nameservers = ["ns1.example.com"]
resolvers = ["192.0.2.53"]
settle = "1m"
stragglers = "end"
tail_forward = false
min_up = 1
[switch.rfc2136]
server = "ns1.example.com:53"
key = "key.example.com"
algorithm = "hmac-sha512"
secret = "eA=="
[switch.aws]
access_key = "a"
secret_key = "b"
session_token = "c"
region = "eu-west-1"
endpoint = "http://127.0.0.1:5000"
hosted_zone = "Z1"
listener = "arn:aws:l"
blue = "arn:aws:b"
green = "arn:aws:g"
[switch.cloudflare]
token = "x"
endpoint = "http://127.0.0.1:1"
server = "localhost"
[switch.digitalocean]
token = "x"
endpoint = "http://127.0.0.1:1"
server = "localhost"
[switch.powerdns]
token = "x"
endpoint = "http://127.0.0.1:1"
server = "localhost"
[state]
store = "postgres"
url = "postgresql://ci:x@db:5432/pointsman"
endpoints = ["https://etcd1:2379"]
username = "ci"
password = "x"
ca_file = "empty.toml"
"#;

/// [`FULL`], and pointers to each of its strings.
static DOCUMENT: LazyLock<(Json, Vec<String>)> = LazyLock::new(|| {
    let document: Json = toml::from_str(FULL).expect("TOML");
    let mut strings = Vec::new();
    collect(&document, String::new(), &mut strings);
    (document, strings)
});

fn collect(json: &Json, pointer: String, strings: &mut Vec<String>) {
    match json {
        Json::String(_) => strings.push(pointer),
        Json::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(i, item)| collect(item, format!("{pointer}/{i}"), strings));
        }
        Json::Object(map) => map
            .iter()
            .for_each(|(k, v)| collect(v, format!("{pointer}/{k}"), strings)),
        _ => {}
    }
}

/// What this field may hold beside letters, digits, `.`, `_`, `-` and `/`; `None`: anything.
/// Written down apart from the grammars on purpose.
fn extra(pointer: &str) -> Option<&'static str> {
    let field = pointer.rsplit('/').next().unwrap_or_default();
    let in_list = field.parse::<usize>().is_ok();
    match field {
        "contains" | "password" | "WEB_PORT" => None,
        "secret" | "secret_key" | "session_token" | "token" | "listener" => None,
        "blue" | "green" if pointer.starts_with("/switch/aws") => None,
        "name" | "zone" | "note" | "key"
            if pointer.starts_with("/switch/dns") || pointer == "/switch/rfc2136/key" =>
        {
            Some(":")
        }
        _ if in_list && pointer.starts_with("/migrate/command") => None,
        _ if in_list && pointer.starts_with("/switch/exec/args") => None,
        // Words of a command line, which no shell takes apart.
        _ if in_list && pointer.starts_with("/switch/kamal_proxy/") => None,
        "url" if pointer == "/state/url" => None,
        _ if in_list && pointer.starts_with("/state/endpoints") => Some("~%+,:@[]"),
        _ if in_list && pointer.starts_with("/migrate/watch") => Some("~%?&=+,:@"),
        _ if in_list => Some("@:[]"),
        "path" if pointer != "/app/path" => Some("~%?&=+,:@"),
        "path" | "socket" | "master_socket" | "map" | "flags" | "folder" | "program" => Some("@+"),
        "compose" | "env_file" | "ca" | "ca_file" | "identity" | "known_hosts" | "config" | "extends" => {
            Some("~@+,=:%^")
        }
        "address" | "jump" | "server" | "host_header" => Some("@:[]"),
        "url" | "endpoint" => Some("~%+,:@[]"),
        "username" | "access_key" => Some("+@$"),
        "backend" => Some("{}"),
        _ => Some(""),
    }
}

#[test]
fn every_key_of_the_schema_is_tried() {
    fn look(schema: &Json, document: &Json, path: &str, lacking: &mut Vec<String>) {
        for (key, property) in schema
            .get("properties")
            .and_then(Json::as_object)
            .into_iter()
            .flatten()
        {
            match document.get(key) {
                Some(value) => look(property, value, &format!("{path}/{key}"), lacking),
                None => lacking.push(format!("{path}/{key}")),
            }
        }
        if let (Some(items), Some(last)) = (schema.get("items"), document.as_array().and_then(|a| a.last())) {
            let table = items.pointer("/anyOf/1").unwrap_or(items);
            look(table, last, &format!("{path}/-"), lacking);
        }
    }
    let mut lacking = Vec::new();
    look(annotated(), &DOCUMENT.0, "", &mut lacking);
    assert_eq!(lacking, Vec::<String>::new());
    let lab = Lab::new();
    lab.write("empty.toml", "");
    let loaded = lab.load_text(FULL);
    assert!(
        loaded.is_ok(),
        "{}",
        loaded
            .err()
            .map(|errors| errors.render(false))
            .unwrap_or_default()
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_field_takes_hostile_text(text in hostile(), which in any::<prop::sample::Index>(), literal in any::<bool>()) {
        thread_local!(static LAB: Lab = {
            let lab = Lab::new();
            lab.write("empty.toml", "");
            lab
        });
        let (document, strings) = &*DOCUMENT;
        let pointer = which.get(strings);
        let mut changed = document.clone();
        let written = if literal { text.replace('$', "$$") } else { text.clone() };
        if let Some(value) = changed.pointer_mut(pointer) {
            *value = written.into();
        }
        let toml = toml::to_string(&changed).expect("TOML");
        let taken = LAB.with(|lab| match lab.load_text(&toml) {
            Ok(_) => true,
            Err(errors) => {
                assert!(!errors.diagnostics().is_empty(), "refused without a word");
                let shown = errors.render(false);
                assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "control characters in {shown:?}");
                false
            }
        });
        if taken {
            match extra(pointer) {
                None => prop_assert!(!text.contains('\0')),
                Some(extra) => {
                    prop_assert!(!text.starts_with('-'), "{pointer} takes {text:?}");
                    let files = extra.contains('^');
                    let odd = text.chars().find(|c| !(c.is_ascii_alphanumeric() || "._-/".contains(*c) || extra.contains(*c) || (files && c.is_alphanumeric())));
                    prop_assert_eq!(odd, None, "{} takes {:?}", pointer, text);
                }
            }
        }
    }

    #[test]
    fn no_document_makes_it_panic(text in "[a-z\\[\\]{}=\".,0-9$\n# -]{0,60}", at in any::<prop::sample::Index>()) {
        thread_local!(static LAB: Lab = Lab::new());
        let mut document = Lab::BASE.to_owned();
        document.insert_str(at.index(document.len()), &text);
        LAB.with(|lab| lab.load_text(&document).map_err(|errors| errors.render(true)).ok());
    }
}
