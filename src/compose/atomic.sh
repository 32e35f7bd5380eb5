# atomic_write FILE VALUE: all of it or nothing, and still so after a power cut.
atomic_write() {
  pm_new=$(mktemp "${1%/*}/.pm-XXXXXX") || exit 70
  printf '%s\n' "$2" >"$pm_new" && { sync "$pm_new" 2>/dev/null || sync; } && mv -f "$pm_new" "$1" || {
    rm -f "$pm_new"
    say_fail 70 "$1 could not be written"
  }
  sync "${1%/*}" 2>/dev/null || sync
}
