# Everything that a deploy wants to know of a host, in one round trip. Changes nothing.
# WAIT: longest that one question to the engine may take, in seconds.
if command -v timeout >/dev/null 2>&1; then
  bounded() { timeout "$WAIT" "$@"; }
else
  bounded() { "$@"; }
fi
# Standard error comes along: what an engine says of itself stands there.
ask() {
  section "$1"
  pm_name=$1
  shift
  bounded "$@" 2>&1
  pm_code=$?
  section "$pm_name-code"
  printf '%s\n' "$pm_code"
  return "$pm_code"
}
# The nearest folder above that exists: STATE is made by the first deploy.
existing() {
  pm_dir=$1
  while [ ! -d "$pm_dir" ]; do
    pm_dir=${pm_dir%/*}
    pm_dir=${pm_dir:-/}
  done
  printf '%s\n' "$pm_dir"
}
space() {
  section "$1"
  pm_dir=$(existing "$2")
  df -Pk "$pm_dir" 2>/dev/null | tail -n 1
  df -Pi "$pm_dir" 2>/dev/null | tail -n 1
}

section clock
date +%s

section tools
for pm_tool in base64 flock timeout sha256sum sync mktemp awk df; do
  command -v "$pm_tool" >/dev/null 2>&1 && printf '%s\n' "$pm_tool"
done

space state "$STATE"

section listeners
if command -v ss >/dev/null 2>&1; then
  echo ss
  ss -ltnp 2>/dev/null
else
  echo proc
  grep ' 0A ' /proc/net/tcp /proc/net/tcp6 2>/dev/null
fi

section leftovers
for pm_base in "${XDG_RUNTIME_DIR:-/run/user/$(id -u)}" /tmp; do
  for pm_found in "$pm_base/pointsman-docker-$APP-$ENV-"*; do
    [ -d "$pm_found" ] && printf 'login %s\n' "$pm_found"
  done
done
for pm_found in "$STATE/$POOL/releases"/*; do
  [ -d "$pm_found" ] && [ ! -f "$pm_found/release.json" ] && printf 'stage %s\n' "$pm_found"
done

# The answer is marked, because a client may print warnings before it. A client that hangs or is
# not there is not asked again.
section client
if command -v docker >/dev/null 2>&1; then bounded docker --version 2>&1; fi
if ask engine docker version --format 'pm:{{.Server.Version}} {{.Server.Arch}}'; then
  pm_root=$(bounded docker info --format '{{.DockerRootDir}}' 2>/dev/null)
  if [ -n "$pm_root" ]; then space root "$pm_root"; fi
  ask containers docker ps -a --no-trunc --format 'pm:{{.ID}}	{{.Names}}	{{.State}}	{{.Label "com.docker.compose.project"}}	{{.Label "com.docker.compose.service"}}	{{.Label "pointsman.app"}}	{{.Label "pointsman.env"}}	{{.Label "pointsman.release"}}	{{.Ports}}'
fi
# Without standard error: a docker that does not know the plugin prints its whole help there.
section plugin
bounded docker compose version --short 2>/dev/null
section standalone
command -v docker-compose >/dev/null 2>&1 && bounded docker-compose version --short 2>/dev/null
section clock-end
date +%s
section end
exit 0
