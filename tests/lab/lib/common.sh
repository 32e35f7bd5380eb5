# Words shared by every part of the lab: names, messages, waiting, the record of what is up.
# shellcheck shell=bash

LAB_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
CHECKOUT=$(cd "$LAB_DIR/../.." && pwd -P)
LAB_NAME=${LAB_NAME:-pmlab-$(printf %s "$CHECKOUT" | sha256sum | cut -c1-8)}
STATE=${LAB_STATE:-$CHECKOUT/target/lab}

# Host name -> last byte of its address. One table, so that an address never has two owners.
declare -rA BYTE=(
  [registry]=5 [db]=6
  [web1]=11 [web2]=12 [web3]=13 [web4]=14
  [lb1]=21 [lb2]=22
  [vps]=31
)
readonly APP_HOSTS=(web1 web2 web3 web4 vps)
readonly ROUTERS=(lb1 lb2 vps)
readonly SSH_HOSTS=(web1 web2 web3 web4 vps lb1 lb2)
readonly ALL_HOSTS=(registry db web1 web2 web3 web4 vps lb1 lb2)
readonly ENVS=(two_pools single_vps)

die() { printf 'lab: %s\n' "$*" >&2; exit 1; }
say() { printf 'lab: %s\n' "$*" >&2; }

now_ms() { local t=${EPOCHREALTIME/[.,]/}; echo "${t%???}"; }

# stage NAME COMMAND...: runs it and says how long it took.
stage() {
  local name=$1 from to; shift
  from=$(now_ms)
  "$@" || die "$name failed (see above)"
  to=$(now_ms)
  printf 'lab: %-34s %3d.%d s\n' "$name" $(((to - from) / 1000)) $(((to - from) % 1000 / 100)) >&2
}

# wait_for SECONDS WHAT COMMAND...: polls until the command succeeds; says what never came.
wait_for() {
  local limit=$1 what=$2 end; shift 2
  end=$(($(now_ms) + limit * 1000))
  until "$@" >/dev/null 2>&1; do
    if (($(now_ms) > end)); then say "waited $limit s in vain for $what"; return 1; fi
    sleep 0.1
  done
}

# join_all PID...: waits for background jobs and fails when one of them failed.
join_all() {
  local pid bad=0
  for pid in "$@"; do wait "$pid" || bad=1; done
  return "$bad"
}

box() { printf '%s-%s' "$LAB_NAME" "$1"; }          # container name of a host
known() { [[ -n ${BYTE[$1]:-} ]] || die "no host '$1' (hosts: ${ALL_HOSTS[*]})"; }
is_in() { local x=$1 y; shift; for y in "$@"; do [[ $x == "$y" ]] && return 0; done; return 1; }

# The record of a lab that is up: target/lab/env.
load_state() {
  [[ -r $STATE/lab.env ]] || return 1
  # shellcheck disable=SC1091
  . "$STATE/lab.env"
}
need_state() { load_state || die "no lab is up for this checkout: run 'lab up'"; }
addr() { printf '%s.%s' "$PREFIX" "${BYTE[$1]}"; }

# Root is needed for the engine, for volumes and for packet filters in the hosts' networks.
become_root() {
  ((EUID == 0)) && return 0
  command -v sudo >/dev/null || die "needs root or sudo"
  exec sudo --preserve-env=LAB_NAME,LAB_SUBNET,LAB_STATE,DOCKER_HOST,XDG_CACHE_HOME,LAB_BASE_IMAGE "$LAB_DIR/lab" "$@"
}
give_back() { # what a root run wrote belongs to whoever called it
  [[ -n ${SUDO_UID:-} && -d $STATE ]] && chown -R "$SUDO_UID:${SUDO_GID:-$SUDO_UID}" "$STATE"
  return 0
}

# inside HOST COMMAND...: as root in the host.
inside() { local h=$1; shift; docker exec -i "$(box "$h")" "$@"; }

apt_install() {
  command -v apt-get >/dev/null || die "missing: $* (and there is no apt-get to install them with)"
  export DEBIAN_FRONTEND=noninteractive
  apt-get install -qq -y --no-install-recommends "$@" </dev/null >/dev/null 2>&1 ||
    { apt-get update -qq >/dev/null && apt-get install -qq -y --no-install-recommends "$@" </dev/null >/dev/null; } ||
    die "could not install: $*"
}
