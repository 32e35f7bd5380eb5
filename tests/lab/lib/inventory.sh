# The inventories that a test deploys with: target/lab/inventory/.
# shellcheck shell=bash

host_entry() { printf '{ address = "%s", name = "%s" }' "$(addr "$1")" "$1"; }
router_entry() { printf '{ address = "%s", name = "%s", url = "http://%s" }' "$(addr "$1")" "$1" "$(addr "$1")"; }

env_file() { # ENV
  cat <<FILE
# Values that a shell or a careless reader would change on the way. Both generations of Compose read them alike.
REGISTRY=$REGISTRY
RAILS_ENV=production
RAILS_LOG_TO_STDOUT=1
DATABASE_URL=postgres://$DATABASE_USER:$DATABASE_PASSWORD@$(addr db):5432/shop_$1
SECRET_KEY_BASE=$SECRET_KEY_BASE
LAB_PLAIN=plain
LAB_SPACES=two  spaces and a tab	here
LAB_APOSTROPHE="it's quoted"
LAB_QUOTES='say "hi"'
LAB_EQUALS=a=b==c
LAB_SHELL='\`id\`;\$(id) && id | id > /tmp/x'
LAB_GLOB=*?[a]{b,c}~!
LAB_BACKSLASH='back\\slash'
LAB_HASH='not # a comment'
LAB_UNICODE=żółw-🐢
LAB_DOLLAR='costs \$5 and \$HOME'
LAB_EMPTY=
FILE
}

write_inventories() {
  local d=$STATE/inventory e
  cp "$LAB_DIR/app/docker-compose.production.yml" "$d/"
  for e in "${ENVS[@]}"; do (umask 077; env_file "$e" >"$d/.env.${e//_/-}"); done
  cat >"$d/common.toml" <<TOML
# What the lab's environments share. Made by tests/lab/lab up.
[registry]
server = "$REGISTRY"
username = "$REGISTRY_USER"
password = "\${LAB_REGISTRY_PASSWORD:-$REGISTRY_PASSWORD}"
ca = "../tls/ca.pem"

[ssh]
user = "deploy"
identity = "../ssh/id_ed25519"
known_hosts = "../ssh/known_hosts"

[app]
start_timeout = "45s"

[migrate]
service = "app"
command = ["bin/rails", "db:migrate"]
timeout = "2m"
wait = "8s"
watch_for = "500ms"

[[checks]]
name = "nginx"
service = "web"
port = 80
path = "/nginx-health"

[[checks]]
name = "unicorn"
service = "app"
port = 8080
path = "/up"
TOML
  cat >"$d/two-pools.toml" <<TOML
# Two pools of two servers behind two load balancers. Made by tests/lab/lab up.
extends = "common.toml"

[app]
name = "shop"
path = "/home/deploy/shop"
compose = "docker-compose.production.yml"
env_file = ".env.two-pools"
identity = { path = "/version", service = "web", port = 80 }

[pools.blue]
hosts = [$(host_entry web1), $(host_entry web2)]

[pools.green]
hosts = [$(host_entry web3), $(host_entry web4)]

$(switch_part lb1 lb2)
TOML
  cat >"$d/single-vps.toml" <<TOML
# Both pools and the router on one machine. Made by tests/lab/lab up.
extends = "common.toml"

[app]
name = "shop"
path = "/home/deploy/shop"
compose = "docker-compose.production.yml"
env_file = ".env.single-vps"
identity = { path = "/version.json", json = "tag", service = "web", port = 80 }

[pools.blue]
hosts = [{ address = "$(addr vps)", name = "vps", env = { WEB_PORT = "8081" } }]

[pools.green]
hosts = [{ address = "$(addr vps)", name = "vps", env = { WEB_PORT = "8082" } }]

$(switch_part vps)
TOML
}

switch_part() {
  local h list=()
  for h in "$@"; do list+=("$(router_entry "$h")"); done
  printf '[switch]\nconnector = "haproxy"\nrouters = [%s' "${list[0]}"
  for h in "${list[@]:1}"; do printf ', %s' "$h"; done
  cat <<'TOML'
]

[switch.haproxy]
socket = "/run/haproxy/admin.sock"
master_socket = "/run/haproxy/master.sock"
map = "/etc/haproxy/pointsman/pools.map"
TOML
}
