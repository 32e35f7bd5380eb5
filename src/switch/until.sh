# `until_true SECONDS COMMAND...`: fails where it has failed for so long.
until_true() {
  end=$(($(date +%s) + $1 + 1))
  shift
  while ! "$@"; do
    [ "$(date +%s)" -lt "$end" ] || return 1
    sleep 0.02 2>/dev/null || sleep 1
  done
}
