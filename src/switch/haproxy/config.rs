//! `switch config`: the HAProxy configuration that pointsman needs.

use std::fmt::Write as _;

use crate::inventory::switch::Haproxy as Settings;
use crate::inventory::{Host, Inventory, Pool};

/// A complete configuration for this inventory; what pointsman needs is marked, the rest is a start.
pub(super) fn config(settings: &Settings, inventory: &Inventory) -> String {
    let Settings {
        socket,
        map,
        key,
        backend,
        ..
    } = settings;
    let folder = map.rsplit_once('/').map_or("/etc/haproxy", |(folder, _)| folder);
    let prefix = backend.replace("{pool}", "%[var(txn.pool)]");
    let health = inventory.checks.last().map_or("/", |check| check.path.as_str());
    let mut out = format!(
        "# HAProxy for {app} in {env}, by `pointsman switch config`.\n\
         #\n\
         # Before the first start, as root (the folder belongs to the deploy user, who replaces the file):\n\
         #   install -d -o {user} {folder}\n\
         #   su {user} -c 'echo {key} blue:blue:0 > {map}'\n\
         # and start HAProxy in master-worker mode with a master socket, so that workers that a reload\n\
         # left behind are moved too:  haproxy -W -S {master},mode,660,group,haproxy -f FILE\n\
         \n\
         global\n\
         \x20   # pointsman: level admin to set the map; the group is one that the deploy user is in.\n\
         \x20   stats socket {socket} mode 660 group haproxy level admin expose-fd listeners\n\
         \x20   stats timeout 1h\n\
         \n\
         defaults\n\
         \x20   mode http\n\
         \x20   timeout connect 3s\n\
         \x20   timeout client 60s\n\
         \x20   timeout server 60s\n\
         \x20   timeout http-keep-alive 60s\n\
         \n\
         frontend {app}\n\
         \x20   bind :80\n\
         \x20   # An old worker finishes what its clients have begun, then closes.\n\
         \x20   option idle-close-on-response\n\
         \x20   # pointsman: one lookup per request decides the pool; LIVE:NEXT:PERCENT.\n\
         \x20   http-request set-var(txn.bg)   str({key}),map({map},blue:blue:0)\n\
         \x20   http-request set-var(txn.pool) var(txn.bg),field(1,:)\n\
         \x20   http-request set-var(txn.next) var(txn.bg),field(2,:)\n\
         \x20   http-request set-var(txn.bkt)  req.cook(bgid),crc32,mod(100) if {{ req.cook(bgid) -m found }}\n\
         \x20   http-request set-var(txn.bkt)  rand(100) unless {{ var(txn.bkt) -m found }}\n\
         \x20   http-request set-var(txn.pool) var(txn.next) if {{ var(txn.bg),field(3,:),sub(txn.bkt) gt 0 }}\n\
         \x20   http-request set-var(txn.pool) str(blue) unless {{ var(txn.pool) -m str blue green }}\n\
         \x20   use_backend {prefix}\n",
        app = inventory.app.name,
        env = inventory.env,
        user = inventory.ssh.user.as_deref().unwrap_or("deploy"),
        master = settings
            .master_socket
            .as_deref()
            .unwrap_or("/run/haproxy/master.sock"),
    );
    for pool in Pool::ALL {
        let _ = write!(
            out,
            "\n# pointsman: permanent; the flip chooses between the two.\n\
             backend {}\n\
             \x20   # pointsman: a server that dies between two checks costs no request.\n\
             \x20   option redispatch\n\
             \x20   retries 3\n\
             \x20   retry-on conn-failure empty-response 503\n\
             \x20   http-request disable-l7-retry unless METH_GET || {{ method HEAD OPTIONS }}\n\
             \x20   option httpchk GET {health}\n\
             \x20   default-server check inter 1s fall 2 rise 2 observe layer4 error-limit 1 on-error mark-down\n",
            backend.replace("{pool}", pool.as_str())
        );
        for host in inventory.hosts(pool) {
            let _ = writeln!(
                out,
                "    server {} {}:{}",
                host.name,
                bare(&host.address),
                web_port(host)
            );
        }
    }
    out
}

/// The published port of the web service, where the host's own env says one (`WEB_PORT`); 80 else.
fn web_port(host: &Host) -> &str {
    host.env.get("WEB_PORT").map_or("80", String::as_str)
}

/// IPv6 addresses stand in brackets before a port.
fn bare(address: &str) -> String {
    if address.contains(':') && !address.starts_with('[') {
        format!("[{address}]")
    } else {
        address.to_owned()
    }
}
