//! `[switch.haproxy]` and its like: how each program that runs on a router is flipped.

use schemars::JsonSchema;
use serde::Deserialize;

use super::grammar::Grammar;

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
