# The machines of a lab: a network, nine containers, what each is given, and when each counts as ready.
# shellcheck shell=bash

# ---- what a lab remembers --------------------------------------------------------------------------------------------
network_prefix() { docker network inspect -f '{{(index .IPAM.Config 0).Subnet}}' "$LAB_NAME" 2>/dev/null | sed 's/\.0\/24$//' || :; }

# The first free 172.29.N.0/24, or LAB_SUBNET; the one of last time first, so that nothing has to be made anew.
make_network() {
  local n candidates=()
  PREFIX=$(network_prefix)
  [[ -z $PREFIX ]] || return 0
  if [[ -n ${LAB_SUBNET:-} ]]; then
    candidates=("${LAB_SUBNET%.0/24}")
  else
    [[ -z ${OLD_PREFIX:-} ]] || candidates+=("$OLD_PREFIX")
    for n in {0..255}; do candidates+=("172.29.$n"); done
  fi
  for PREFIX in "${candidates[@]}"; do
    if ip -4 route | grep -q "^${PREFIX//./\\.}\."; then continue; fi
    if docker network create --label "pmlab=$LAB_NAME" --subnet "$PREFIX.0/24" "$LAB_NAME" >/dev/null 2>&1; then return 0; fi
  done
  die "no free network (tried ${#candidates[@]}; see: docker network ls)"
}

secret() { od -An -N12 -tx1 /dev/urandom | tr -d ' \n'; }

make_state() {
  local h
  mkdir -p "$STATE"/{ssh,tls,hosts,inventory,faults}
  REGISTRY_USER=deployer
  REGISTRY_PASSWORD=${REGISTRY_PASSWORD:-$(secret)}
  DATABASE_USER=shop
  DATABASE_PASSWORD=${DATABASE_PASSWORD:-$(secret)}
  SECRET_KEY_BASE=${SECRET_KEY_BASE:-$(secret)$(secret)$(secret)}
  REGISTRY=$(addr registry):5000
  [[ -f $STATE/ssh/id_ed25519 ]] || ssh-keygen -q -t ed25519 -N '' -C "$LAB_NAME" -f "$STATE/ssh/id_ed25519"
  make_tls
  : >"$STATE/ssh/known_hosts"
  for h in "${SSH_HOSTS[@]}"; do make_identity "$h"; done
  for h in "${ROUTERS[@]}"; do make_router_config "$h"; done
  ssh_config >"$STATE/ssh/config"
  write_inventories
  {
    echo "# Made by tests/lab/lab up."
    declare -p PREFIX RECIPE REGISTRY REGISTRY_USER REGISTRY_PASSWORD DATABASE_USER DATABASE_PASSWORD SECRET_KEY_BASE |
      sed 's/^declare -- //'
  } >"$STATE/lab.env.new"
  chmod 600 "$STATE/lab.env.new" && mv "$STATE/lab.env.new" "$STATE/lab.env"
  cmd_env >"$STATE/env"
}

make_tls() {
  local d=$STATE/tls ip; ip=$(addr registry)
  [[ -f $d/ca.pem && -f $d/registry.pem && $(cat "$d/for" 2>/dev/null) == "$ip" ]] && return 0
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj "/CN=$LAB_NAME CA" \
    -keyout "$d/ca.key" -out "$d/ca.pem" 2>/dev/null
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$ip" \
    -keyout "$d/registry.key" -out "$d/registry.csr" 2>/dev/null
  openssl x509 -req -in "$d/registry.csr" -CA "$d/ca.pem" -CAkey "$d/ca.key" -CAcreateserial -days 3650 \
    -extfile <(printf 'subjectAltName=IP:%s\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n' "$ip") \
    -out "$d/registry.pem" 2>/dev/null
  chmod 600 "$d"/*.key
  echo "$ip" >"$d/for"
}

make_identity() {
  local h=$1 d=$STATE/hosts/$1/identity
  mkdir -p "$d"
  [[ -f $d/ssh_host_ed25519_key ]] || ssh-keygen -q -t ed25519 -N '' -C "$h" -f "$d/ssh_host_ed25519_key"
  cp "$STATE/ssh/id_ed25519.pub" "$d/authorized_keys"
  printf '%s,%s %s\n' "$h" "$(addr "$h")" "$(cut -d' ' -f1,2 "$d/ssh_host_ed25519_key.pub")" >>"$STATE/ssh/known_hosts"
}

ssh_config() {
  local h
  for h in "${SSH_HOSTS[@]}"; do printf 'Host %s\n  HostName %s\n' "$h" "$(addr "$h")"; done
  cat <<CONFIG
Host ${SSH_HOSTS[*]} $PREFIX.*
  User deploy
  IdentityFile "$STATE/ssh/id_ed25519"
  IdentitiesOnly yes
  UserKnownHostsFile "$STATE/ssh/known_hosts"
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  BatchMode yes
  ConnectTimeout 5
  KexAlgorithms curve25519-sha256,curve25519-sha256@libssh.org
CONFIG
}

backend_head() {
  printf 'backend %s from pools\n' "$1"
  printf '    load-server-state-from-file local\n    server-state-file-name /etc/haproxy/pointsman/%s.state\n' "$1"
}
server_line() { printf '    server %s %s:%s\n' "$1" "$(addr "$1")" "$2"; }
make_router_config() {
  local name=$1 d=$STATE/hosts/$1/router backends
  mkdir -p "$d"
  if [[ $name == vps ]]; then
    backends=$(backend_head shop_blue; server_line vps 8081
      echo; backend_head shop_green; server_line vps 8082)
  else
    backends=$(backend_head shop_blue; server_line web1 80; server_line web2 80
      echo; backend_head shop_green; server_line web3 80; server_line web4 80)
  fi
  awk -v name="$name" -v backends="$backends" '
    $0 == "@BACKENDS@" { print backends; next } { gsub(/@NAME@/, name); print }' \
    "$LAB_DIR/images/router/haproxy.cfg.in" >"$d/haproxy.cfg"
}

# ---- starting --------------------------------------------------------------------------------------------------------
# A host's /var/lib/docker starts as the seed: layers are linked, not copied (nothing ever writes to one in place).
seed_host() {
  local vol=$1 from to
  docker volume create --label "pmlab=$LAB_NAME" "$vol" >/dev/null
  from=$(volume_dir "$VOL_SEED"); to=$(volume_dir "$vol")
  if cp -al "$from/overlay2" "$to/" 2>/dev/null; then :; else rm -rf "$to/overlay2"; cp -a "$from/overlay2" "$to/"; fi
  cp -a "$from/image" "$to/"
}

start_host() {
  local h=$1 image args=()
  docker rm -f "$(box "$h")" >/dev/null 2>&1 || :
  drop_volume "$LAB_NAME-$h"
  args=(-d --name "$(box "$h")" --hostname "$h" --network "$LAB_NAME" --ip "$(addr "$h")"
    --label "pmlab=$LAB_NAME" --label "pmlab.recipe=$RECIPE")
  case $h in
    registry)
      image=$IMG_REGISTRY
      docker volume create --label "pmlab=$LAB_NAME" "$LAB_NAME-registry" >/dev/null
      cp -a "$(volume_dir "$VOL_RELEASES")/docker" "$(volume_dir "$LAB_NAME-registry")/"
      args+=(-v "$LAB_NAME-registry:/var/lib/registry" -v "$STATE/tls:/lab/tls:ro" --publish 127.0.0.1::5000
        -e "REGISTRY_USER=$REGISTRY_USER" -e "REGISTRY_PASSWORD=$REGISTRY_PASSWORD") ;;
    db) image=$IMG_DB ;;
    *) args+=(-v "$STATE/hosts/$h/identity:/lab/identity:ro" --tmpfs /run:exec,mode=755) ;;
  esac
  if is_in "$h" "${ROUTERS[@]}"; then
    args+=(-v "$STATE/hosts/$h/router:/lab/router:ro")
    image=$IMG_ROUTER
  fi
  if is_in "$h" "${APP_HOSTS[@]}"; then
    case $h in web1 | web3) image=$IMG_V1 ;; vps) image=$IMG_VPS ;; *) image=$IMG_V2 ;; esac
    seed_host "$LAB_NAME-$h"
    args+=("${RIGHTS[@]}" -v "$LAB_NAME-$h:/var/lib/docker"
      --mount "type=bind,src=$STATE/tls/ca.pem,dst=/etc/docker/certs.d/$REGISTRY/ca.crt,readonly")
  fi
  docker run "${args[@]}" "$image" >/dev/null
}

drop_volume() {
  local loop
  have_volume "$1" || return 0
  for loop in $(losetup -n -O NAME -j "$(volume_dir "$1")/.lab-disk" 2>/dev/null); do losetup -d "$loop" 2>/dev/null || :; done
  docker volume rm -f "$1" >/dev/null
}

# ---- ready -----------------------------------------------------------------------------------------------------------
banner() { timeout 2 bash -c 'exec 3<>"/dev/tcp/$0/22" && read -r -t 2 line <&3 && [[ $line == SSH-2* ]]' "$1"; }
login() { ssh -n -F "$STATE/ssh/config" "$1" true; }
port_open() { timeout 2 bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$1" "$2"; }
engine_in() { inside "$1" timeout 3 docker version; }
web_answers() { curl -sS -m 2 -o /dev/null "http://$1/"; }
registry_answers() {
  [[ $(curl -sS -m 2 -o /dev/null -w '%{http_code}' --cacert "$STATE/tls/ca.pem" "https://$REGISTRY/v2/") == 401 ]]
}
db_answers() { inside db sh -c 'pg_isready -q -h 127.0.0.1' && port_open "$(addr db)" 5432; }

# ready_host HOST SECONDS: waits until everything that runs on the host answers.
ready_host() {
  local h=$1 limit=$2 ip; ip=$(addr "$h")
  case $h in
    registry) wait_for "$limit" "the registry" registry_answers ;;
    db) wait_for "$limit" "PostgreSQL" db_answers ;;
    *)
      wait_for "$limit" "sshd of $h" banner "$ip" || return 1
      ((limit < 5)) || wait_for "$limit" "a login on $h" login "$h" || return 1
      ! is_in "$h" "${APP_HOSTS[@]}" || wait_for "$limit" "the engine of $h" engine_in "$h" || return 1
      ! is_in "$h" "${ROUTERS[@]}" || wait_for "$limit" "HAProxy of $h" web_answers "$ip" ;;
  esac
}
# A fresh HAProxy takes every server for UP until its first checks; with nothing deployed, all are DOWN in the end.
all_down() { inside "$1" lab-ask show stat | awk -F, '/^shop_/ && $2 != "BACKEND" && $18 !~ /^DOWN/ { bad = 1 } END { exit bad }'; }
settled() { ! is_in "$1" "${ROUTERS[@]}" || wait_for 15 "$1 to see that nothing is deployed" all_down "$1"; }
each_host() { # each_host FUNCTION ARG... over HOSTS, all at once
  local h jobs=() f=$1; shift
  for h in "${HOSTS[@]}"; do "$f" "$h" "$@" & jobs+=($!); done
  join_all "${jobs[@]}"
}
running() { docker ps --filter "label=pmlab=$LAB_NAME" --filter "label=pmlab.recipe=$RECIPE" --filter status=running --format '{{.Names}}'; }

make_databases() {
  local e
  inside db setpriv --reuid=postgres --regid=postgres --init-groups psql -q -c 'SET client_min_messages = warning' -f - -h /run/postgresql -v ON_ERROR_STOP=1 postgres <<SQL
DO \$\$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '$DATABASE_USER') THEN CREATE ROLE $DATABASE_USER LOGIN; END IF;
END \$\$;
ALTER ROLE $DATABASE_USER PASSWORD '$DATABASE_PASSWORD';
$(for e in "$@"; do
    echo "DROP DATABASE IF EXISTS shop_$e WITH (FORCE);"
    echo "CREATE DATABASE shop_$e OWNER $DATABASE_USER;"
  done)
SQL
}
