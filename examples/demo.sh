#!/usr/bin/env bash
# The main job on real servers, under load: first deploy, deploy v2, rollback, a sick v3 refused.
# Makes the lab (four app hosts, two HAProxy routers, a registry, PostgreSQL; see tests/lab), installs
# what that needs, and leaves target/demo/receipt.json. Needs only Rust and root (or sudo).
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

need=()
command -v cc >/dev/null || need+=(gcc libc6-dev)
command -v ssh >/dev/null || need+=(openssh-client)
if [ ${#need[@]} -gt 0 ]; then
  as_root apt-get update -q
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends "${need[@]}"
fi

say "building pointsman, making the lab"
cargo build -q --release
tests/lab/lab up
tests/lab/lab reset
eval "$(tests/lab/lab env)"

# The lab's environment, with a prober that asks often: every request counts in the receipt. 300 a second over both routers
# leave two cores enough for a release that boots; 900 were seen to make the routers' own checks time out.
out=target/demo
rm -rf "$out"
mkdir -p "$out"
cp -r "$INVENTORY_DIR/." "$out/"
sed -i 's#"\.\./#"../lab/#g' "$out/common.toml"
sed 's/^\[switch\]$/[switch]\nprobe_rate = 150/' "$INVENTORY_DIR/two-pools.toml" >"$out/two-pools.toml"
export POINTSMAN_STATE_DIR="$PWD/$out/state"
pointsman() { target/release/pointsman -i "$out/two-pools.toml" "$@"; }

# Runs a command that must end with the exit code $2, and keeps its receipt as $1.
run() {
  local name=$1 want=$2 code=0
  shift 2
  say "pointsman $*"
  pointsman "$@" --receipt "$out/$name.json" || code=$?
  if [ "$code" != "$want" ]; then
    echo "demo: expected exit code $want of 'pointsman $*', found $code" >&2
    exit 1
  fi
}

run first-deploy 0 deploy v1
run deploy-v2 0 deploy v2
run rollback 0 rollback
run sick-v3 10 deploy v-sick
say "pointsman status"
pointsman status

# The lab has installed jq.
(cd "$out" && jq -s . first-deploy.json deploy-v2.json rollback.json sick-v3.json) >"$out/receipt.json"
requests=$(jq '[.[].requests] | add' "$out/receipt.json")
lost=$(jq '[.[].lost] | add' "$out/receipt.json")
say "$requests requests through both routers over four runs, $lost lost; receipts in $out/receipt.json"
echo "the lab is still up: tests/lab/lab status; tests/lab/lab down takes it away"
if [ "$requests" -lt 10000 ] || [ "$lost" != 0 ]; then
  echo "demo: expected at least 10000 requests and 0 lost" >&2
  exit 1
fi
