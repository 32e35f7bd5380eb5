# A login that leaves nothing behind: credentials live in a private folder of a file system that
# is memory where there is one, for the time of this script. kill -9 leaves it to the next run.
login_forget() {
  for pm_pid in ${pm_watch:-} ${pm_child:-}; do kill "$pm_pid" 2>/dev/null; done
  [ -z "${pm_config:-}" ] || rm -rf "$pm_config"
}
login_prepare() {
  pm_run=${XDG_RUNTIME_DIR:-/run/user/$(id -u)}
  for pm_old in "$pm_run/pointsman-docker-$APP-$ENV-"* "/tmp/pointsman-docker-$APP-$ENV-"*; do
    [ ! -d "$pm_old" ] || rm -rf "$pm_old"
  done
  [ -d "$pm_run" ] && [ -w "$pm_run" ] || pm_run=/tmp
  trap login_forget EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  umask 077
  pm_config=$(mktemp -d "$pm_run/pointsman-docker-$APP-$ENV-XXXXXX") ||
    say_fail 70 "no private folder can be made in $pm_run"
  # Without a login of ours the host's own configuration stays: it may be logged in already.
  [ -n "$SERVER" ] || return 0
  # The user's own configuration may name another engine than the usual one: that must stay.
  if [ -z "${DOCKER_HOST:-}" ]; then
    pm_host=$(docker context inspect --format '{{.Endpoints.docker.Host}}' 2>/dev/null) &&
      [ -n "$pm_host" ] && DOCKER_HOST=$pm_host && export DOCKER_HOST
  fi
  DOCKER_CONFIG=$pm_config
  export DOCKER_CONFIG
}
# Once, and only when something must be fetched: each login counts against the registry's limits.
login_once() {
  [ -n "$SERVER" ] && [ -z "${pm_logged_in:-}" ] || return 0
  pm_said=$(password_file | docker login "$SERVER" -u "$USERNAME" --password-stdin 2>&1 >/dev/null) || {
    section failed
    printf 'login %s\n%s\n' "$SERVER" "$pm_said"
    exit 69
  }
  pm_logged_in=1
}
# Runs in the background and is waited for: the shell runs its traps while it waits, not while a
# program is in front. $pm_said is what it said on standard error.
login_run() {
  "$@" >/dev/null 2>"$pm_config/stderr" &
  pm_child=$!
  wait "$pm_child"
  pm_code=$?
  pm_child=
  pm_said=$(cat "$pm_config/stderr")
  return "$pm_code"
}
