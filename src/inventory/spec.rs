//! Every key of an inventory, once: what it is called, what it takes, what it means. The structural
//! check, the JSON Schema and the reference page all come from here.

use super::rules::{self, Rule};

/// What a key takes.
pub(super) enum Kind {
    /// A string that fits a rule.
    Text(Rule),
    /// A file's name, relative to the inventory's folder, that must exist.
    File,
    /// A whole number in a range.
    Integer(i64, i64),
    /// `"30s"`.
    Duration,
    /// `"1GiB"`.
    Size,
    /// One of these strings.
    OneOf(&'static [&'static str]),
    /// An array of strings that fit a rule; not empty.
    Texts(Rule),
    /// A table of strings by environment variable.
    Env,
    /// A table.
    Table(&'static [Key]),
    /// An array of tables; not empty.
    Tables(&'static [Key]),
    /// An array of servers: each a string (`[user@]host[:port]`) or a table; not empty.
    Servers(&'static [Key]),
}

/// A key.
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) required: bool,
    /// What it is without the key, in words or as a value.
    pub(super) default: Option<&'static str>,
    pub(super) doc: &'static str,
}

const fn key(name: &'static str, kind: Kind, default: Option<&'static str>, doc: &'static str) -> Key {
    Key {
        name,
        kind,
        required: false,
        default,
        doc,
    }
}

const fn required(name: &'static str, kind: Kind, doc: &'static str) -> Key {
    Key {
        name,
        kind,
        required: true,
        default: None,
        doc,
    }
}

const PORT: Kind = Kind::Integer(1, 65_535);

pub(super) const ROOT: &[Key] = &[
    key(
        "extends",
        Kind::Text(rules::line),
        None,
        "Another file whose tables this one's are laid over: what environments share.",
    ),
    key(
        "env",
        Kind::Text(rules::name),
        Some("the file's name without .toml"),
        "The environment's name.",
    ),
    required("app", Kind::Table(APP), "What is deployed."),
    key(
        "registry",
        Kind::Table(REGISTRY),
        Some("open, or the hosts are logged in"),
        "Where images come from.",
    ),
    key(
        "ssh",
        Kind::Table(SSH),
        Some("as ~/.ssh/config says"),
        "How servers are reached. `~/.ssh/config` is honoured; what stands here goes before it.",
    ),
    required(
        "pools",
        Kind::Table(POOLS),
        "The two groups of hosts that swap roles.",
    ),
    required(
        "checks",
        Kind::Tables(CHECK),
        "How a host of the cold pool is proven.",
    ),
    key(
        "migrate",
        Kind::Table(MIGRATE),
        Some("no migration"),
        "What is run once per deploy, on one cold host, before the pool starts.",
    ),
    required("switch", Kind::Table(SWITCH), "What decides which pool is hot."),
];

pub(super) const APP: &[Key] = &[
    required(
        "name",
        Kind::Text(rules::name),
        "The app's name: part of project, label and map names.",
    ),
    required(
        "path",
        Kind::Text(rules::remote_path),
        "Folder on every host and router under which pointsman keeps its state and releases.",
    ),
    required(
        "compose",
        Kind::File,
        "The Compose file; used untouched, with DEPLOY_TAG set.",
    ),
    key(
        "env_file",
        Kind::File,
        Some("none"),
        "Sent as `.env` beside the Compose file, mode 0600. Its values are secret.",
    ),
    key(
        "identity",
        Kind::Table(IDENTITY),
        Some("{ path = \"/version\" }"),
        "How a host says which release it serves.",
    ),
    key(
        "keep_releases",
        Kind::Integer(1, 100),
        Some("3"),
        "How many releases are kept per pool besides the running one.",
    ),
    key(
        "pull_timeout",
        Kind::Duration,
        Some("\"10m\""),
        "Longest that pulling a release may take on a host.",
    ),
    key(
        "start_timeout",
        Kind::Duration,
        Some("\"2m\""),
        "Longest that starting a release, and proving it, may each take on a host.",
    ),
    key(
        "disk_margin",
        Kind::Size,
        Some("\"1GiB\""),
        "What must be free on Docker's root beside what the images need.",
    ),
];

pub(super) const IDENTITY: &[Key] = &[
    key(
        "path",
        Kind::Text(rules::url_path),
        Some("\"/version\""),
        "Path that answers with the release; asked on each host and through each router.",
    ),
    key(
        "json",
        Kind::Text(rules::line),
        Some("the whole body"),
        "Key of the JSON answer that holds the tag; dots descend.",
    ),
    key(
        "service",
        Kind::Text(rules::label),
        Some("a port of the host"),
        "Compose service that answers.",
    ),
    key(
        "port",
        PORT,
        Some("80"),
        "Port of the service in the Compose network, or of the host.",
    ),
];

pub(super) const REGISTRY: &[Key] = &[
    required(
        "server",
        Kind::Text(rules::server),
        "`host` or `host:port`, as it stands before the first / of an image's name.",
    ),
    key(
        "username",
        Kind::Text(rules::line),
        Some("no login"),
        "Login name.",
    ),
    key(
        "password",
        Kind::Text(rules::text),
        Some("no login"),
        "Password or token; write `\"${DOCKER_PASS}\"`. It goes to `docker login` by standard input only.",
    ),
    key(
        "ca",
        Kind::File,
        Some("the system's"),
        "PEM file of the CA that signed the registry's certificate.",
    ),
];

pub(super) const SSH: &[Key] = &[
    key(
        "user",
        Kind::Text(rules::user),
        Some("as ~/.ssh/config says"),
        "Login name on every server.",
    ),
    key(
        "port",
        PORT,
        Some("as ~/.ssh/config says"),
        "Port on every server.",
    ),
    key(
        "identity",
        Kind::File,
        Some("as ~/.ssh/config says"),
        "Private key.",
    ),
    key(
        "jump",
        Kind::Text(rules::jump),
        Some("none"),
        "Jump host: `[user@]host[:port]`.",
    ),
    key(
        "known_hosts",
        Kind::File,
        Some("~/.ssh/known_hosts"),
        "Host keys; an unknown or changed key is always refused.",
    ),
    key(
        "config",
        Kind::File,
        Some("~/.ssh/config"),
        "ssh_config to include instead of the user's.",
    ),
    key(
        "connect_timeout",
        Kind::Duration,
        Some("\"5s\""),
        "Longest that connecting to one server may take.",
    ),
    key(
        "max_connects",
        Kind::Integer(1, 1000),
        Some("32"),
        "Most connects that are under way at once.",
    ),
];

pub(super) const POOLS: &[Key] = &[
    required(
        "blue",
        Kind::Table(POOL),
        "The pool that routers fall back to when their map has no value.",
    ),
    required("green", Kind::Table(POOL), "The other one."),
];

pub(super) const POOL: &[Key] = &[required("hosts", Kind::Servers(HOST), "Its app servers.")];

pub(super) const HOST: &[Key] = &[
    required(
        "address",
        Kind::Text(rules::address),
        "Host name, IP address, or alias of ~/.ssh/config.",
    ),
    key(
        "name",
        Kind::Text(rules::label),
        Some("the address"),
        "Short name for people and logs.",
    ),
    key("port", PORT, Some("as [ssh] says"), "SSH port."),
    key(
        "user",
        Kind::Text(rules::user),
        Some("as [ssh] says"),
        "Login name.",
    ),
    key(
        "env",
        Kind::Env,
        Some("{}"),
        "Environment for Compose on this host only.",
    ),
];

pub(super) const ROUTER: &[Key] = &[
    required(
        "address",
        Kind::Text(rules::address),
        "Host name, IP address, or alias of ~/.ssh/config.",
    ),
    key(
        "name",
        Kind::Text(rules::label),
        Some("the address"),
        "Short name for people and logs.",
    ),
    key("port", PORT, Some("as [ssh] says"), "SSH port."),
    key(
        "user",
        Kind::Text(rules::user),
        Some("as [ssh] says"),
        "Login name.",
    ),
    key(
        "url",
        Kind::Text(rules::url),
        Some("http://<address>"),
        "Where the prober sends requests.",
    ),
    key(
        "host_header",
        Kind::Text(rules::address),
        Some("the URL's host"),
        "`Host:` header that reaches the app.",
    ),
];

pub(super) const CHECK: &[Key] = &[
    required("name", Kind::Text(rules::label), "What it is called in messages."),
    key(
        "service",
        Kind::Text(rules::label),
        Some("a port of the host"),
        "Compose service that is asked, inside the Compose network.",
    ),
    required("port", PORT, "Port of the service, or of the host."),
    key(
        "path",
        Kind::Text(rules::url_path),
        Some("\"/\""),
        "Path and query of the request.",
    ),
    key(
        "status",
        Kind::Integer(100, 599),
        Some("200"),
        "Status that is healthy.",
    ),
    key(
        "contains",
        Kind::Text(rules::line),
        Some("anything"),
        "Text that the body must contain.",
    ),
    key(
        "host_header",
        Kind::Text(rules::address),
        Some("the service's name"),
        "`Host:` header, if the app insists on one.",
    ),
    key(
        "successes",
        Kind::Integer(1, 1000),
        Some("3"),
        "Successes in a row that are needed; any failure starts the count again.",
    ),
    key(
        "min_healthy",
        Kind::Duration,
        Some("\"2s\""),
        "Shortest time over which the successes must spread.",
    ),
    key(
        "interval",
        Kind::Duration,
        Some("\"500ms\""),
        "Pause between two requests.",
    ),
    key(
        "timeout",
        Kind::Duration,
        Some("\"3s\""),
        "Deadline of one request.",
    ),
];

pub(super) const MIGRATE: &[Key] = &[
    required(
        "service",
        Kind::Text(rules::label),
        "Compose service whose image and settings run it.",
    ),
    required(
        "command",
        Kind::Texts(rules::text),
        "The command and its arguments.",
    ),
    key(
        "timeout",
        Kind::Duration,
        Some("\"10m\""),
        "Longest that it may take.",
    ),
    key(
        "database_url",
        Kind::Text(rules::env_name),
        Some("\"DATABASE_URL\""),
        "Variable of the env file that holds the database's URL: its port is waited for.",
    ),
    key(
        "wait",
        Kind::Duration,
        Some("\"30s\""),
        "Longest to wait until the database accepts connections.",
    ),
];

pub(super) const SWITCH: &[Key] = &[
    required(
        "connector",
        Kind::OneOf(&["haproxy"]),
        "Which program the routers run.",
    ),
    required(
        "routers",
        Kind::Servers(ROUTER),
        "The load balancers, reached by SSH.",
    ),
    key(
        "probe_rate",
        Kind::Integer(1, 10_000),
        Some("50"),
        "Requests a second that the prober sends through each router during a run.",
    ),
    key(
        "haproxy",
        Kind::Table(HAPROXY),
        Some("all defaults"),
        "Settings of the haproxy connector.",
    ),
];

pub(super) const HAPROXY: &[Key] = &[
    key(
        "socket",
        Kind::Text(rules::remote_path),
        Some("\"/run/haproxy/admin.sock\""),
        "Admin socket on the router.",
    ),
    key(
        "master_socket",
        Kind::Text(rules::remote_path),
        Some("not used"),
        "Master CLI socket (`haproxy -W -S`): workers that a reload left behind are reached by it.",
    ),
    key(
        "map",
        Kind::Text(rules::remote_path),
        Some("\"/etc/haproxy/pointsman/pools.map\""),
        "Map file on the router; its folder must belong to the deploy user.",
    ),
    key(
        "key",
        Kind::Text(rules::map_key),
        Some("the app's name"),
        "Key of this app in the map.",
    ),
    key(
        "backend",
        Kind::Text(rules::backend),
        Some("\"<app>_{pool}\""),
        "Names of the two backends.",
    ),
    key(
        "min_up",
        Kind::Integer(1, 10_000),
        Some("all of them"),
        "Servers of the target pool that each router must see UP before a flip.",
    ),
];
