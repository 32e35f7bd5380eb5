//! `switch config`: the Caddyfile that pointsman needs.

use super::FlagFile;
use crate::inventory::{Inventory, Pool};
use crate::switch::servers::{health, targets};

/// A Caddyfile: what pointsman needs is marked, the rest is a start.
pub(super) fn config(flag: &FlagFile, inventory: &Inventory) -> String {
    let (flags, port) = (&flag.settings.flags, flag.settings.status_port);
    let (app, env, status) = (&inventory.app.name, &inventory.env, flag.status_name());
    let user = inventory.ssh.user.as_deref().unwrap_or("deploy");
    let (path, host) = health(inventory);
    let host = host.map_or(String::new(), |host| {
        format!("\n\t\t\thealth_headers {{\n\t\t\t\tHost {host}\n\t\t\t}}")
    });
    let proxy = |pool: Pool| {
        let targets = targets(inventory);
        let of = targets.iter().filter(|target| target.pool == pool);
        let to: Vec<String> = of.map(super::Target::endpoint).collect();
        format!(
            "\
		reverse_proxy {} {{
			# pointsman: a request that meets a dead server is sent to another.
			lb_policy round_robin
			lb_try_duration 5s
			lb_try_interval 100ms
			fail_duration 2s
			# pointsman: a server that is not well gets no requests.
			health_uri {path}
			health_interval 1s
			health_timeout 2s{host}
			transport http {{
				dial_timeout 2s
				# pointsman: each connection has a request in progress, so what is still in progress on a pool can be
				# counted before it is replaced.
				keepalive off
			}}
		}}",
            to.join(" ")
        )
    };
    let (blue, green) = (proxy(Pool::Blue), proxy(Pool::Green));
    format!(
        "\
# Caddyfile for {app} in {env}, by `pointsman switch config`. What pointsman needs is marked so.
#
# Once, as root, on each router ({user} is who pointsman logs in as):
#   install -d -m 755 -o {user} {flags}
# In a container, mount that folder, and let Caddy have the host's network.

:80 {{
	# pointsman: looked at for each request, so that a flip is one file and needs no reload.
	@green file {{
		root {flags}
		try_files green
	}}
	handle @green {{
{green}
	}}
	handle {{
{blue}
	}}
}}

# pointsman: what it reads, on the router alone: which pool this Caddy uses.
http://{status}:{port} {{
	bind 127.0.0.1
	@green file {{
		root {flags}
		try_files green
	}}
	respond @green green
	respond blue
}}
"
    )
}
