# Looks at a host; changes nothing (a private temporary folder is made and removed).
section docker
engine=$(timeout 10 docker version --format '{{.Server.Version}} {{.Server.Arch}}' 2>&1)
code=$?
printf '%s %s\n' "$code" "$engine"
section compose
case $variant in
  v2) echo "v2 $(docker compose version --short 2>/dev/null)" ;;
  v1) echo "v1 $(docker-compose version --short 2>/dev/null)" ;;
esac
section tools
for tool in flock timeout base64 sha256sum awk; do command -v "$tool" >/dev/null 2>&1 || echo "$tool"; done
section clock
date +%s
section state-disk
above=$STATE
while [ ! -d "$above" ]; do above=${above%/*}; [ -n "$above" ] || above=/; done
df -Pk "$above" | awk 'NR == 2 { printf "%.0f\n", $4 * 1024 }'
[ -w "$above" ] && echo writable
if [ "$code" = 0 ]; then
  root=$(docker info --format '{{.DockerRootDir}}' 2>/dev/null)
  section docker-disk
  df -Pk "$root" 2>/dev/null | awk 'NR == 2 { printf "%.0f\n", $4 * 1024 }'
  df -Pi "$root" 2>/dev/null | awk 'NR == 2 { print $4 }'
  section containers
  docker ps --format '{{.Label "com.docker.compose.project"}}|{{.Names}}|{{.Ports}}'
fi
section listening
cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk '$4 == "0A" { n = split($2, a, ":"); print a[n] }' | sort -u
section releases
for file in "$STATE/$POOL"/releases/*/release.json; do [ -f "$file" ] && { cat "$file"; echo; }; done
if [ -n "$variant" ]; then
  umask 077
  work=$(mktemp -d) || say_fail 1 "no temporary folder could be made"
  trap 'rm -rf "$work"' EXIT
  trap 'exit 1' TERM INT HUP
  cd "$work" || exit 1
  pm_compose >docker-compose.yml
  pm_env >.env
  section config
  compose -p "$PROJECT" -f docker-compose.yml config 2>config.err && ok=yes || ok=
  section config-problem
  [ "$ok" = yes ] || cat config.err
fi
section end
