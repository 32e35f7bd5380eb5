# Takes servers of one backend out of this router, and puts all its other servers in again. Runs under the guard.
# Variables: BACKEND; OUT, the names of the servers that are out, with blanks between.
# The router's own checks ask a server that is out for a path that no server answers well, so it is down for as long as
# the map says so: over its own return, over reloads and restarts. HAProxy starts with every server up, though, until its
# first check fails: the backend's state file says which are down from the start.
# Ends with 0 (done, and read back) or 3 (nothing is changed); with another code the file says it, and HAProxy may not.
prefix=$KEY/$BACKEND/
edit() {
  awk -v prefix="$prefix" 'index($1, prefix) != 1' && for name in $OUT; do printf '%s%s *\n' "$prefix" "$name"; done
}
# What the running worker has under the prefix, a name a line.
read_out() {
  ask "$SOCKET" 2 "show map $MAP" || return 1
  had=$(printf '%s\n' "$answer" | awk -v prefix="$prefix" 'index($2, prefix) == 1 { print substr($2, length(prefix) + 1) }' | sort)
}

# The state file of the backend, as HAProxy itself prints it, with nobody but those that are out. It gets the map's mode
# and owner: HAProxy must be able to read it.
write_state() {
  why="cannot write $states"
  cp -p "$MAP" "$states.new" || return 1
  ask "$SOCKET" 2 "show servers state $BACKEND" || { why=$answer; return 1; }
  printf '%s\n' "$answer" | awk -v out=" $OUT " '
    /^1$/ || /^# be_id/ { print }
    # Operational state and health: down. The checks take it from there.
    $1 ~ /^[0-9]+$/ && index(out, " " $4 " ") { $6 = $13 = 0; print }
  ' >"$states.new" && settle "$states.new"
}

[ -n "$helper" ] || say_fail 3 "$no_helper"
states=$folder/$BACKEND.state
trap 'rm -f "$new" "$old" "$states.new"' EXIT
count_uses || say_fail 3 "$answer"
[ "$uses" -gt 1 ] || say_fail 3 "the checks of this router's servers do not look into $MAP, so one that was left out would get requests when it comes back: see $see_config"
hold || say_fail 3 "another flip holds the lock of $folder"
write_files || say_fail 3 "$why"
write_state || say_fail 3 "$why"
replace
told=$?
[ "$told" = 0 ] || say_fail $((told + 2)) "$MAP cannot be replaced: $answer"
mv -f "$states.new" "$states" || say_fail 4 "cannot replace $states"
read_out || say_fail 4 "$answer"
for name in $had; do ask "$SOCKET" 2 "del map $MAP $prefix$name" || say_fail 4 "$answer"; done
for name in $OUT; do ask "$SOCKET" 2 "add map $MAP $prefix$name *" || say_fail 4 "$answer"; done
read_out || say_fail 4 "$answer"
want=$(for name in $OUT; do printf '%s\n' "$name"; done | sort)
[ "$had" = "$want" ] || say_fail 4 "expected these to be read back as left out: ${want:-none}, found ${had:-none}"
