//! `switch config`: the Envoy configuration that pointsman needs.

use std::fmt::Write as _;

use super::{Envoy, runtime};
use crate::inventory::{Inventory, Pool};
use crate::switch::Route;
use crate::switch::servers::{health, targets};

/// Methods that a server may be asked again without harm.
const SAFE: &str = "GET|HEAD|OPTIONS";

/// A complete configuration for this inventory: what pointsman needs is marked, the rest is a start.
pub(super) fn config(envoy: &Envoy, inventory: &Inventory) -> String {
    let mut out = head(envoy, inventory);
    out.push_str(&web(envoy));
    out.push_str(&status(envoy));
    for pool in Pool::ALL {
        out.push_str(&cluster(envoy, inventory, pool));
    }
    out
}

fn head(envoy: &Envoy, inventory: &Inventory) -> String {
    let (app, env, folder, file) = (&envoy.app, &inventory.env, &envoy.settings.folder, envoy.file());
    let user = inventory.ssh.user.as_deref().unwrap_or("deploy");
    let blue = runtime(app, &Route::all(Pool::Blue));
    format!(
        "\
# Envoy for {app} in {env}, by `pointsman switch config`: /etc/envoy/envoy.yaml. What pointsman needs is marked so.
#
# Once, as root, on each router ({user} is who pointsman logs in as), before Envoy starts:
#   install -d -m 755 -o {user} {folder}
#   echo '{blue}' | su {user} -c 'tee {file}'
# pointsman replaces that file by a rename. In a container, mount its folder, and let Envoy have the host's network.

# pointsman: Envoy takes no runtime values from a file without a name of its own; any will do.
node: {{ id: router, cluster: \"{app}\" }}

admin:
  address: {{ socket_address: {{ address: 127.0.0.1, port_value: 9901 }} }}

layered_runtime:
  layers:
  # pointsman: the file that says which pool is hot. Envoy watches it, and reads it before it takes its first request.
  - name: pointsman_{app}
    rtds_layer:
      name: pointsman_{app}
      rtds_config:
        resource_api_version: V3
        path_config_source: {{ path: {file} }}
  - name: admin
    admin_layer: {{}}

static_resources:
  listeners:
"
    )
}

/// What a route is chosen by, for green: blue's have no condition and come after.
fn fraction(envoy: &Envoy) -> String {
    format!(
        ", runtime_fraction: {{ runtime_key: pointsman.{}.green, default_value: {{ numerator: 0 }} }}",
        envoy.app
    )
}

/// The listener that serves the app.
fn web(envoy: &Envoy) -> String {
    let app = &envoy.app;
    let mut out = format!(
        "  - name: \"{app}\"
    address: {{ socket_address: {{ address: 0.0.0.0, port_value: 80 }} }}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          \"@type\": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: \"{app}\"
          use_remote_address: true
          upgrade_configs: [{{ upgrade_type: websocket }}]
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{ \"@type\": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }}
          route_config:
            virtual_hosts:
            - name: \"{app}\"
              domains: [\"*\"]
              # pointsman: green's share is looked at for each request, so that a flip is one value and needs no reload.
              # A request that meets a dead server is sent to another; one that may have had an effect (POST) only where
              # the server has not seen it.
              routes:
"
    );
    for pool in [Pool::Green, Pool::Blue] {
        let condition = match pool {
            Pool::Green => fraction(envoy),
            Pool::Blue => String::new(),
        };
        let cluster = envoy.cluster(pool);
        let safe = format!(
            ", headers: [{{ name: \":method\", string_match: {{ safe_regex: {{ regex: \"{SAFE}\" }} }} }}]"
        );
        let retries = [
            (
                safe.as_str(),
                "connect-failure,refused-stream,reset,retriable-status-codes",
                "\n                    retriable_status_codes: [503]",
            ),
            ("", "connect-failure,refused-stream,reset-before-request", ""),
        ];
        for (method, on, codes) in retries {
            let _ = writeln!(
                out,
                "              - match: {{ prefix: \"/\"{condition}{method} }}
                route:
                  cluster: {cluster}
                  timeout: 0s
                  idle_timeout: 60s
                  retry_policy:
                    retry_on: {on}{codes}
                    num_retries: 3
                    retry_host_predicate:
                    - name: envoy.retry_host_predicates.previous_hosts
                      typed_config: {{ \"@type\": type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate }}
                    host_selection_retry_max_attempts: 5"
            );
        }
    }
    out
}

/// The listener that says what Envoy does.
fn status(envoy: &Envoy) -> String {
    let (name, port, green) = (envoy.status_name(), envoy.settings.status_port, fraction(envoy));
    format!(
        "
  # pointsman: what it reads, on the router alone: which pool this Envoy uses, its runtime values, and how it finds the servers.
  - name: pointsman
    address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          \"@type\": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: pointsman
          http_protocol_options: {{ accept_http_10: true }}
          # pointsman: without it Envoy keeps a connection for a second after its last answer.
          delayed_close_timeout: 0s
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{ \"@type\": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }}
          route_config:
            virtual_hosts:
            - name: {name}
              domains: [{name}]
              routes:
              - match: {{ path: /runtime, headers: [{{ name: \":method\", string_match: {{ exact: GET }} }}] }}
                route: {{ cluster: pointsman_admin }}
              - match: {{ path: /clusters, headers: [{{ name: \":method\", string_match: {{ exact: GET }} }}] }}
                route: {{ cluster: pointsman_admin }}
              - match: {{ path: \"/\"{green} }}
                direct_response: {{ status: 200, body: {{ inline_string: \"green\\n\" }} }}
              - match: {{ path: \"/\" }}
                direct_response: {{ status: 200, body: {{ inline_string: \"blue\\n\" }} }}

  clusters:
  - name: pointsman_admin
    type: STATIC
    connect_timeout: 2s
    load_assignment:
      cluster_name: pointsman_admin
      endpoints:
      - lb_endpoints:
        - endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: 9901 }} }} }}
"
    )
}

fn cluster(envoy: &Envoy, inventory: &Inventory, pool: Pool) -> String {
    let name = envoy.cluster(pool);
    let (path, host) = health(inventory);
    let host = host.map_or(String::new(), |host| format!(", host: \"{host}\""));
    let mut out = format!(
        "
  # pointsman: permanent, whichever pool is hot.
  - name: {name}
    type: STRICT_DNS
    connect_timeout: 2s
    lb_policy: ROUND_ROBIN
    # pointsman: only servers that Envoy itself finds up count for a flip; also while a pool gets no requests.
    health_checks:
    - timeout: 2s
      interval: 1s
      no_traffic_interval: 1s
      unhealthy_threshold: 2
      healthy_threshold: 2
      http_health_check: {{ path: \"{path}\"{host}, expected_statuses: [{{ start: 200, end: 300 }}] }}
    # pointsman: a server that is not up gets no requests, unless none is: then each is tried all the same. Envoy's own half
    # would send requests to dead servers.
    common_lb_config: {{ healthy_panic_threshold: {{ value: 1 }} }}
    # pointsman: Envoy's own bounds (3 requests that are sent again at a time) would lose requests when a server dies.
    circuit_breakers:
      thresholds:
      - {{ max_connections: 100000, max_pending_requests: 100000, max_requests: 100000, max_retries: 100000 }}
    load_assignment:
      cluster_name: {name}
      endpoints:
      - lb_endpoints:
"
    );
    for target in targets(inventory).iter().filter(|target| target.pool == pool) {
        let _ = writeln!(
            out,
            "        - endpoint: {{ hostname: \"{}\", address: {{ socket_address: {{ address: \"{}\", port_value: {} }} }} }}",
            target.name, target.address, target.port
        );
    }
    out
}
