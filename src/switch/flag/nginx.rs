//! `switch config`: the nginx configuration that pointsman needs.

use std::fmt::Write as _;

use super::FlagFile;
use crate::inventory::{Inventory, Pool};
use crate::switch::servers::targets;

/// A file for nginx's `http` block: what pointsman needs is marked, the rest is a start.
pub(super) fn config(flag: &FlagFile, inventory: &Inventory) -> String {
    let (flags, port) = (&flag.settings.flags, flag.settings.status_port);
    let (app, env, status) = (&inventory.app.name, &inventory.env, flag.status_name());
    let user = inventory.ssh.user.as_deref().unwrap_or("deploy");
    let chosen = format!(
        "    set $pool blue;
    if (-f {flags}/green) {{ set $pool green; }}"
    );
    let mut out = format!(
        "\
# nginx for {app} in {env}, by `pointsman switch config`: /etc/nginx/conf.d/{app}.conf. What pointsman needs is marked so.
#
# Once, as root, on each router ({user} is who pointsman logs in as):
#   install -d -m 755 -o {user} {flags}
# In a container, mount that folder, and let nginx have the host's network: connections to the servers are counted there.
# No `open_file_cache` in these servers: it would go on seeing the old flag.

# pointsman: both pools, whichever is hot. Each server twice: where all have failed of late, the second lines are tried rather
# than 502 answered, so a pool that was down while it was cold takes every request at the flip. No `keepalive`: each connection has a request in progress, so what is still in
# progress on a pool can be counted before it is replaced.
"
    );
    for pool in Pool::ALL {
        let _ = writeln!(out, "upstream {app}_{pool} {{\n    zone {app}_{pool} 64k;");
        // After a failure nginx lets one request through to a server, and answers 502 to the others until that one is answered,
        // where no server is left: at a flip to a pool that failed before it was deployed to, that is most of them.
        for (failures, lasts) in [("max_fails=1 fail_timeout=2s", ""), ("max_fails=0", " backup")] {
            for target in targets(inventory).iter().filter(|target| target.pool == pool) {
                let (endpoint, name) = (target.endpoint(), &target.name);
                let _ = writeln!(out, "    server {endpoint} {failures}{lasts}; # {name}");
            }
        }
        out.push_str("}\n");
    }
    let _ = write!(
        out,
        "
server {{
    listen 80 default_server;
    # pointsman: looked at for each request, so that a flip is one file and needs no reload.
{chosen}
    location / {{
        proxy_pass http://{app}_$pool;
        proxy_http_version 1.1;
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_connect_timeout 2s;
        # pointsman: a request that meets a dead server is sent to another; one that may have had an effect (POST) only
        # where no connection was made.
        proxy_next_upstream error timeout http_503;
        proxy_next_upstream_tries 3;
    }}
}}

# pointsman: what it reads, on the router alone: which pool this nginx uses.
server {{
    listen 127.0.0.1:{port};
    server_name {status};
    access_log off;
{chosen}
    location = / {{ default_type text/plain; return 200 \"$pool\\n\"; }}
    location / {{ return 404; }}
}}
"
    );
    out
}
