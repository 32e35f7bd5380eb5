# Finds Compose: `compose ARGS...` runs it, $variant is v1, v2 or empty.
variant=
if docker compose version >/dev/null 2>&1; then
  variant=v2
  compose() { docker compose "$@"; }
elif command -v docker-compose >/dev/null 2>&1; then
  variant=v1
  compose() { docker-compose "$@"; }
else
  compose() { say_fail 1 "Compose is not installed: expected \`docker compose\` or docker-compose"; }
fi
# In the release's folder, with its files.
compose_release() { compose -p "$PROJECT" -f docker-compose.yml -f pointsman.yml "$@"; }
