# What this router does now.
[ -n "$helper" ] || say_fail 1 "$no_helper"
# Nobody waits for a look as for a flip.
patience=4
ask "$SOCKET" 5 "get map $MAP $KEY; show stat -1 4 -1" || say_fail 1 "$answer"
value_of "$answer"
live=$value stat=$answer
# A worker that a reload left behind has requests of its own in progress.
older=
note_and_count() {
  note_worker "$1"
  # One that hangs is not asked twice.
  [ -z "$left" ] || [ -z "$value" ] || { ask "$MASTER" 2 "@!$1 show stat -1 4 -1" && older=$older$answer$nl; } || :
}
each_worker note_and_count
print_routes "$live"
section answer; printf '%s\n' "$stat"
section older; printf '%s\n' "$older"
section out; awk -v prefix="$KEY/" 'index($1, prefix) == 1 { print substr($1, length(prefix) + 1) }' "$MAP" 2>/dev/null
section end
