# Moves this router; runs under the guard, which holds the lock from `prepare` to the end of `commit`.
# Variables: VALUE, LIVE:NEXT:PERCENT, and SHARE, what that is for green in percent; function: new_runtime writes the file that says so. Envoy watches its folder, and takes
# the file when it is renamed into place; it reads it again when it starts. No reload, no restart.
# `commit` ends as that of the HAProxy connector: 0 (moved), 3 (nothing is changed, now or later) or another (in doubt).
folder=${FILE%/*}
new=$folder/.$APP.pointsman-new

# Envoy takes a renamed file within milliseconds; seconds are for a machine that is busy.
TAKES=5

settle() { { sync "$1" || sync; } 2>/dev/null; }

# Envoy may be another user than the one that writes: the guard's files are for that one alone.
write_new() { { rm -f "$new" && cat >"$new" && chmod 644 "$new"; } 2>/dev/null; }

prepare() {
  [ -n "$fetcher" ] || say_fail 1 "$no_fetcher"
  [ -f "$FILE" ] || say_fail 1 "$FILE is not there: see $see_config"
  ask_envoy || say_fail 1 "$why"
  had="$route $green"
  was=$(cat "$FILE") || say_fail 1 "cannot read $FILE"
  trap 'rm -f "$new"' EXIT
  new_runtime | write_new || say_fail 1 "cannot write in $folder: the SSH user must own it, and the disk have room"
  settle "$new"
}

moved() { ask_envoy && [ "$route $green" = "$VALUE $SHARE" ] && agrees; }
is_back() { ask_envoy && [ "$route $green" = "$had" ] && agrees; }

# Envoy does not do as the file says, so it looks at another or cannot read this one: the old one goes back.
put_back() {
  instead="$route with $green % for green"
  printf '%s\n' "$was" | write_new && mv -f "$new" "$FILE" ||
    say_fail 4 "$FILE says $VALUE and could not be put back; Envoy says $instead"
  settle "$folder"
  until_true "$TAKES" is_back || say_fail 4 "$FILE was put back, and Envoy does not say that it does as before: ${route:-$why}"
  say_fail 3 "expected Envoy to have $VALUE with $SHARE % for green after $FILE said so, found $instead: does it watch that file? see $see_config"
}

commit() {
  why=$(mv -f "$new" "$FILE" 2>&1) || say_fail 3 "$why"
  settle "$folder"
  until_true "$TAKES" moved || {
    # Where it is away, it will do as the file says when it comes back.
    [ -n "$route" ] || say_fail 4 "$FILE says $VALUE, but what Envoy does cannot be read: $why"
    put_back
  }
  print_routes
  section end
}
