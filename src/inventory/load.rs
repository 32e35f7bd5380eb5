//! Loads an inventory: read, check, convert, cross-check.

use std::collections::BTreeMap;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use secrecy::SecretString;

use super::check::{Checker, server};
use super::diagnostic::{Diagnostic, InventoryErrors, Place};
use super::dom::{Node, Reader, Table, Value};
use super::{
    App, Check, Host, Identity, Inventory, Migrate, Pool, Registry, Router, Ssh, Switch, rules, spec,
};
use crate::compose::ComposeFile;
use crate::inventory::switch::{Connector, Haproxy};

impl Inventory {
    /// Loads an environment. `env` looks up environment variables for `${VAR}`.
    ///
    /// # Errors
    /// Every mistake that was found, each with its place.
    pub fn load(path: &Utf8Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Inventory, InventoryErrors> {
        let mut reader = Reader {
            env,
            errors: Vec::new(),
        };
        let tree = reader.read(path, &[], None);
        let Some(Node {
            place,
            value: Value::Table(root),
        }) = tree
        else {
            return Err(InventoryErrors(reader.errors));
        };
        let folder = absolute(path)
            .parent()
            .map_or_else(Utf8PathBuf::new, Utf8Path::to_owned);
        let mut checker = Checker {
            folder: &folder,
            errors: reader.errors,
        };
        checker.table("the file", &place, &root, spec::ROOT);
        if !checker.errors.is_empty() {
            return Err(sorted(checker.errors));
        }
        let inventory = convert(path, &folder, &root);
        cross_check(&inventory, &root, &mut checker);
        if checker.errors.is_empty() {
            Ok(inventory)
        } else {
            Err(sorted(checker.errors))
        }
    }
}

fn sorted(mut errors: Vec<Diagnostic>) -> InventoryErrors {
    errors.sort_by_key(|one| (one.place.source.path.clone(), one.place.span.start));
    InventoryErrors(errors)
}

fn absolute(path: &Utf8Path) -> Utf8PathBuf {
    std::path::absolute(path)
        .ok()
        .and_then(|path| Utf8PathBuf::from_path_buf(path).ok())
        .unwrap_or_else(|| path.to_owned())
}

/// A table whose values were checked: a getter finds what the spec allows, or nothing.
#[derive(Clone, Copy)]
struct Checked<'a>(Option<&'a Table>);

impl<'a> Checked<'a> {
    fn node(self, key: &str) -> Option<&'a Node> {
        self.0?.get(key).map(|(_, node)| node)
    }

    fn table(self, key: &str) -> Checked<'a> {
        Checked(match self.node(key).map(|node| &node.value) {
            Some(Value::Table(table)) => Some(table),
            _ => None,
        })
    }

    fn array(self, key: &str) -> &'a [Node] {
        match self.node(key).map(|node| &node.value) {
            Some(Value::Array(items)) => items,
            _ => &[],
        }
    }

    fn text(self, key: &str) -> Option<String> {
        match self.node(key).map(|node| &node.value) {
            Some(Value::Text(text)) => Some(text.clone()),
            _ => None,
        }
    }

    fn integer<T: TryFrom<i64>>(self, key: &str) -> Option<T> {
        match self.node(key).map(|node| &node.value) {
            Some(Value::Integer(number)) => T::try_from(*number).ok(),
            _ => None,
        }
    }

    fn duration(self, key: &str, default: Duration) -> Duration {
        self.text(key)
            .and_then(|text| rules::duration(&text))
            .unwrap_or(default)
    }

    fn texts(self, key: &str) -> Vec<String> {
        let text = |node: &Node| match &node.value {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        };
        self.array(key).iter().filter_map(text).collect()
    }

    fn env(self) -> BTreeMap<String, String> {
        let entry = |(key, (_, node)): (&String, &(Place, Node))| match &node.value {
            Value::Text(text) => Some((key.clone(), text.clone())),
            _ => None,
        };
        self.0.into_iter().flatten().filter_map(entry).collect()
    }
}

fn convert(path: &Utf8Path, folder: &Utf8Path, root: &Table) -> Inventory {
    let root = Checked(Some(root));
    let file = |table: Checked<'_>, key: &str| table.text(key).map(|name| folder.join(name));
    let app = root.table("app");
    let name = app.text("name").unwrap_or_default();
    let identity = app.table("identity");
    let (registry, ssh, migrate) = (root.table("registry"), root.table("ssh"), root.table("migrate"));
    let pools = root.table("pools");
    let secs = Duration::from_secs;
    Inventory {
        env: root
            .text("env")
            .unwrap_or_else(|| path.file_stem().unwrap_or("default").to_owned()),
        file: path.to_owned(),
        registry: registry.0.map(|_| Registry {
            server: registry.text("server").unwrap_or_default(),
            username: registry.text("username"),
            password: registry.text("password").map(SecretString::from),
            ca: file(registry, "ca"),
        }),
        ssh: Ssh {
            user: ssh.text("user"),
            port: ssh.integer("port"),
            identity: file(ssh, "identity"),
            jump: ssh.text("jump"),
            known_hosts: file(ssh, "known_hosts"),
            config: file(ssh, "config"),
            connect_timeout: ssh.duration("connect_timeout", secs(5)),
            max_connects: ssh.integer("max_connects").unwrap_or(32),
        },
        pools: Pool::ALL
            .into_iter()
            .map(|pool| {
                (
                    pool,
                    pools
                        .table(pool.as_str())
                        .array("hosts")
                        .iter()
                        .map(host)
                        .collect(),
                )
            })
            .collect(),
        checks: root.array("checks").iter().map(check).collect(),
        migrate: migrate.0.map(|_| Migrate {
            service: migrate.text("service").unwrap_or_default(),
            command: migrate.texts("command"),
            timeout: migrate.duration("timeout", secs(600)),
            database_url: migrate
                .text("database_url")
                .unwrap_or_else(|| "DATABASE_URL".to_owned()),
            wait: migrate.duration("wait", secs(30)),
        }),
        switch: switch(root.table("switch"), &name),
        app: App {
            path: app.text("path").unwrap_or_default(),
            compose: file(app, "compose").unwrap_or_default(),
            env_file: file(app, "env_file"),
            identity: Identity {
                path: identity.text("path").unwrap_or_else(|| "/version".to_owned()),
                json: identity.text("json"),
                service: identity.text("service"),
                port: identity.integer("port").unwrap_or(80),
            },
            keep_releases: app.integer("keep_releases").unwrap_or(3),
            pull_timeout: app.duration("pull_timeout", secs(600)),
            start_timeout: app.duration("start_timeout", secs(120)),
            disk_margin: app
                .text("disk_margin")
                .and_then(|text| rules::size(&text))
                .unwrap_or(1 << 30),
            name,
        },
    }
}

/// A server's table, or its short form as one.
fn server_fields(node: &Node) -> (Checked<'_>, Option<(Option<&str>, &str, Option<u16>)>) {
    match &node.value {
        Value::Table(table) => (Checked(Some(table)), None),
        Value::Text(text) => (Checked(None), server(text)),
        _ => (Checked(None), None),
    }
}

fn host(node: &Node) -> Host {
    let (table, short) = server_fields(node);
    let address = table
        .text("address")
        .or_else(|| short.map(|(_, host, _)| host.to_owned()))
        .unwrap_or_default();
    Host {
        name: table.text("name").unwrap_or_else(|| address.clone()),
        address,
        port: table
            .integer("port")
            .or_else(|| short.and_then(|(_, _, port)| port)),
        user: table
            .text("user")
            .or_else(|| short.and_then(|(user, _, _)| user.map(str::to_owned))),
        env: table.table("env").env(),
    }
}

fn router(node: &Node) -> Router {
    let (table, _) = server_fields(node);
    let Host {
        name,
        address,
        port,
        user,
        ..
    } = host(node);
    let bracketed = if address.contains(':') {
        format!("[{address}]")
    } else {
        address.clone()
    };
    Router {
        url: table.text("url").unwrap_or_else(|| format!("http://{bracketed}")),
        host_header: table.text("host_header"),
        name,
        address,
        port,
        user,
    }
}

fn check(node: &Node) -> Check {
    let table = match &node.value {
        Value::Table(table) => Checked(Some(table)),
        _ => Checked(None),
    };
    Check {
        name: table.text("name").unwrap_or_default(),
        service: table.text("service"),
        port: table.integer("port").unwrap_or(80),
        path: table.text("path").unwrap_or_else(|| "/".to_owned()),
        status: table.integer("status").unwrap_or(200),
        contains: table.text("contains"),
        host_header: table.text("host_header"),
        successes: table.integer("successes").unwrap_or(3),
        min_healthy: table.duration("min_healthy", Duration::from_secs(2)),
        interval: table.duration("interval", Duration::from_millis(500)),
        timeout: table.duration("timeout", Duration::from_secs(3)),
    }
}

fn switch(table: Checked<'_>, app: &str) -> Switch {
    let haproxy = table.table("haproxy");
    let mut routers: Vec<Router> = table.array("routers").iter().map(router).collect();
    // The first in this order is where every machine compares and sets the epoch.
    routers.sort_by(|a, b| a.name.cmp(&b.name));
    Switch {
        connector: Connector::Haproxy(Haproxy {
            socket: haproxy
                .text("socket")
                .unwrap_or_else(|| "/run/haproxy/admin.sock".to_owned()),
            master_socket: haproxy.text("master_socket"),
            map: haproxy
                .text("map")
                .unwrap_or_else(|| "/etc/haproxy/pointsman/pools.map".to_owned()),
            key: haproxy.text("key").unwrap_or_else(|| app.to_owned()),
            backend: haproxy
                .text("backend")
                .unwrap_or_else(|| format!("{app}_{{pool}}")),
            min_up: haproxy.integer("min_up"),
        }),
        routers,
        probe_rate: table.integer("probe_rate").unwrap_or(50),
    }
}

/// What no key alone shows.
fn cross_check(inventory: &Inventory, root: &Table, checker: &mut Checker<'_>) {
    let root = Checked(Some(root));
    if let Err(expected) = rules::name(&inventory.env)
        && let Some(node) = root.node("app")
    {
        let help = Some("name the file so, or set `env = \"...\"` at its top".to_owned());
        checker.error(
            &node.place,
            format!(
                "the environment's name: expected {expected}, found {:?}",
                inventory.env
            ),
            help,
        );
    }
    let registry = root.table("registry");
    if let (Some(node), None) | (None, Some(node)) = (registry.node("username"), registry.node("password")) {
        checker.error(
            &node.place,
            "[registry]: expected both username and password, found only one",
            None,
        );
    }
    let services = services(inventory, root, checker);
    let mut known = |node: Option<&Node>, service: &str| {
        if let (Some(services), Some(node)) = (&services, node)
            && !services.contains(&service.to_owned())
        {
            let message = format!(
                "the Compose file has no service {service:?}, only {}",
                services.join(", ")
            );
            checker.error(&node.place, message, None);
        }
    };
    for (check, node) in inventory.checks.iter().zip(root.array("checks")) {
        if let (Some(service), Value::Table(table)) = (&check.service, &node.value) {
            known(Checked(Some(table)).node("service"), service);
        }
    }
    if let Some(service) = &inventory.app.identity.service {
        known(root.table("app").table("identity").node("service"), service);
    }
    if let Some(migrate) = &inventory.migrate {
        known(root.table("migrate").node("service"), &migrate.service);
    }
    unique(
        checker,
        root.array("checks"),
        inventory.checks.iter().map(|c| c.name.clone()),
        "check",
    );
    let switch = root.table("switch");
    let names = switch.array("routers").iter().map(|node| router(node).name);
    unique(
        checker,
        switch.array("routers"),
        names.collect::<Vec<_>>().into_iter(),
        "router",
    );
    let mut claimed: Vec<(String, Host)> = Vec::new();
    for pool in Pool::ALL {
        let nodes = root.table("pools").table(pool.as_str()).array("hosts");
        unique(
            checker,
            nodes,
            inventory.hosts(pool).iter().map(|h| h.name.clone()),
            "host",
        );
        for (host, node) in inventory.hosts(pool).iter().zip(nodes) {
            let same = |other: &&(String, Host)| {
                other.1.address == host.address && other.1.port == host.port && other.1.env == host.env
            };
            if let Some((other, _)) = claimed.iter().find(same) {
                checker.error(
                    &node.place,
                    format!(
                        "{} is in {other} already with the same env: both would publish the same ports",
                        host.address
                    ),
                    Some("give each its own, such as env = { WEB_PORT = \"8081\" }".to_owned()),
                );
            }
            claimed.push((pool.to_string(), host.clone()));
        }
    }
}

fn services(inventory: &Inventory, root: Checked<'_>, checker: &mut Checker<'_>) -> Option<Vec<String>> {
    let node = root.table("app").node("compose")?;
    let parsed = std::fs::read_to_string(&inventory.app.compose)
        .map_err(|error| error.to_string())
        .and_then(|text| ComposeFile::parse(&text));
    match parsed {
        Ok(file) => Some(file.services.into_keys().collect()),
        Err(problem) => {
            checker.error(
                &node.place,
                format!("the Compose file is not understood: {problem}"),
                None,
            );
            None
        }
    }
}

fn unique(checker: &mut Checker<'_>, nodes: &[Node], names: impl Iterator<Item = String>, what: &str) {
    let mut seen = Vec::new();
    for (name, node) in names.zip(nodes) {
        if seen.contains(&name) {
            checker.error(&node.place, format!("the {what} {name} is listed twice"), None);
        }
        seen.push(name);
    }
}
