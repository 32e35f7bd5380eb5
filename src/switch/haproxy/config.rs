//! `switch config`: the HAProxy configuration that pointsman needs.

use std::fmt::Write as _;

use crate::inventory::balancer::Haproxy as Settings;
use crate::inventory::{Inventory, Pool};
use crate::switch::servers::{health, targets};

/// A complete configuration for this inventory: what pointsman needs is marked, the rest is a start.
pub(super) fn config(settings: &Settings, inventory: &Inventory) -> String {
    let mut out = head(settings, inventory);
    out.push_str(&frontend(settings, inventory));
    for pool in Pool::ALL {
        out.push_str(&backend(settings, inventory, pool));
    }
    out
}

fn head(settings: &Settings, inventory: &Inventory) -> String {
    let Settings { socket, map, key, .. } = settings;
    let folder = map.rsplit_once('/').map_or("/", |(folder, _)| folder);
    let master = settings
        .master_socket
        .as_deref()
        .unwrap_or("/run/haproxy/master.sock");
    let user = inventory.ssh.user.as_deref().unwrap_or("deploy");
    let states = Pool::ALL.map(|pool| states(settings, pool)).join(" ");
    let app = &inventory.app.name;
    let env = &inventory.env;
    format!(
        "\
# HAProxy for {app} in {env}, by `pointsman switch config`. What pointsman needs is marked so.
#
# Once, as root, on each router ({user} is who pointsman logs in as):
#   usermod -aG haproxy {user}
#   install -d -o {user} {folder}
#   su {user} -c 'echo {key} blue:blue:0 > {map}'
#   su {user} -c 'echo 1 | tee {states}'
# pointsman replaces that file by a rename. In a container, mount its folder: a mounted file would never change.
#
# Start HAProxy in master-worker mode with a master socket, and set [switch.haproxy] master_socket, so that the
# workers that a reload left behind are moved too (Debian: EXTRAOPTS in /etc/default/haproxy):
#   haproxy -W -S {master},mode,660,group,haproxy -f /etc/haproxy/haproxy.cfg

global
    user haproxy
    group haproxy
    # pointsman: level admin sets the map; the group is one that {user} is in.
    stats socket {socket} mode 660 group haproxy level admin expose-fd listeners
    # pointsman: a prepared flip keeps a connection open.
    stats timeout 1h

defaults
    mode http
    option forwardfor
    timeout connect 3s
    timeout client 60s
    timeout server 60s
    timeout queue 5s
    timeout check 2s
    timeout http-request 10s
    timeout http-keep-alive 60s
"
    )
}

/// Where `leave_out.sh` keeps which servers of a pool are down when HAProxy starts.
fn states(settings: &Settings, pool: Pool) -> String {
    let folder = settings.map.rsplit_once('/').map_or("", |(folder, _)| folder);
    let backend = settings.backend.replace("{pool}", pool.as_str());
    format!("{folder}/{backend}.state")
}

fn frontend(settings: &Settings, inventory: &Inventory) -> String {
    let Settings { map, key, .. } = settings;
    let backends = settings.backend.replace("{pool}", "%[var(txn.pool)]");
    let app = &inventory.app.name;
    format!(
        "
frontend {app}
    bind :80
    # pointsman: after a reload the old worker answers what its clients have sent, and closes then. Without this it
    # cuts idle connections at once, and requests that are just arriving on them are lost.
    option idle-close-on-response
    # pointsman: one lookup a request, LIVE:NEXT:PERCENT, so that a flip is one value and no request sees half of it.
    http-request set-var(txn.bg)   str({key}),map({map},blue:blue:0)
    http-request set-var(txn.pool) var(txn.bg),field(1,:)
    http-request set-var(txn.next) var(txn.bg),field(2,:)
    # pointsman: a canary's share is by the cookie bgid, where the app sets one, so that a visitor stays on one side.
    http-request set-var(txn.bkt)  req.cook(bgid),crc32,mod(100) if {{ req.cook(bgid) -m found }}
    http-request set-var(txn.bkt)  rand(100) unless {{ var(txn.bkt) -m found }}
    http-request set-var(txn.pool) var(txn.next) if {{ var(txn.bg),field(3,:),sub(txn.bkt) gt 0 }}
    # pointsman: HAProxy takes any value into its map; a wrong one must not name a backend that is not there.
    http-request set-var(txn.pool) str(blue) unless {{ var(txn.pool) -m str blue green }}
    use_backend {backends}
"
    )
}

fn backend(settings: &Settings, inventory: &Inventory, pool: Pool) -> String {
    let name = settings.backend.replace("{pool}", pool.as_str());
    let Settings { map, key, .. } = settings;
    let states = states(settings, pool);
    let (path, host) = health(inventory);
    let host = host.map_or(String::new(), |host| format!(" hdr Host {host}"));
    let version = if host.is_empty() { "" } else { " ver HTTP/1.1" };
    let mut out = format!(
        "
# pointsman: permanent, whichever pool is hot.
backend {name}
    balance roundrobin
    # pointsman: only servers that HAProxy itself finds up count for a flip.
    option httpchk
    # pointsman: a server that was left out of a deploy is asked for `*`, which no server answers well.
    http-check set-var(check.pool) be_name
    http-check set-var(check.server) srv_name
    http-check set-var(check.key) str({key}/),concat(,check.pool,/),concat(,check.server)
    http-check send meth GET uri-lf \"%[var(check.key),map({map},{path})]\"{version}{host}
    http-check expect status 200
    # pointsman: HAProxy starts with every server up until its first check; this file says who was left out.
    load-server-state-from-file local
    server-state-file-name {states}
    # pointsman: a request that meets a dead server is sent to another. One that may have had an effect (POST) is
    # sent again only where no connection was made.
    option redispatch
    retries 3
    retry-on conn-failure empty-response 503
    http-request disable-l7-retry unless METH_GET
    # pointsman: the first failed connection takes a server out, before its checks do.
    default-server check inter 1s fall 2 rise 2 observe layer4 error-limit 1 on-error mark-down
"
    );
    for target in targets(inventory).iter().filter(|target| target.pool == pool) {
        let _ = writeln!(out, "    server {} {}", target.name, target.endpoint());
    }
    out
}
