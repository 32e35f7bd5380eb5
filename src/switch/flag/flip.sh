# Moves this router; runs under the guard, which holds the lock from `prepare` to the end of `commit`.
# Variable: VALUE (blue or green). The flag is a file that is there for green and not for blue, so that one rename or one
# removal moves every request that begins after it, in all workers, and no reload or restart changes it.
# `commit` ends as that of the HAProxy connector: 0 (moved), 3 (nothing is changed, now or later) or another (in doubt).
new=$FLAGS/.green.pointsman-new

settle() { { sync "$1" || sync; } 2>/dev/null; }

prepare() {
  [ -n "$fetcher" ] || say_fail 1 "$no_fetcher"
  [ -d "$FLAGS" ] || say_fail 1 "$FLAGS is not there: see $see_config"
  ask_program || say_fail 1 "$why"
  trap 'rm -f "$new"' EXIT
  # Also before the flag is removed: what can be made here can be removed.
  { rm -f "$new" && : >"$new"; } 2>/dev/null ||
    say_fail 1 "cannot write in $FLAGS: the SSH user must own it, and the disk have room"
  settle "$new"
}

# The flag says VALUE, or `why` not; then nothing is changed.
set_flag() {
  case $1 in
    green) why=$(mv -f "$new" "$FLAGS/green" 2>&1) ;;
    blue) why=$(rm -f "$FLAGS/green" 2>&1) ;;
  esac
}

# The program does not do as the flag says, so it looks at something else: the flag goes back.
put_back() {
  instead=$live
  case $was in green) : >"$new" ;; esac
  set_flag "$was" || say_fail 4 "$FLAGS says $VALUE and could not be put back ($why); $PROGRAM says $instead"
  settle "$FLAGS"
  ask_program || say_fail 4 "the flag was put back, but what $PROGRAM does cannot be read: $why"
  [ "$live" = "$was" ] || say_fail 4 "the flag was put back to $was, and $PROGRAM says $live"
  say_fail 3 "expected $PROGRAM to use $VALUE after its flag in $FLAGS was set, found $instead: does it look there? see $see_config"
}

commit() {
  was=$(flag)
  set_flag "$VALUE" || say_fail 3 "$why"
  settle "$FLAGS"
  # It answers as for any request; where it is away, it will do as the flag says when it comes back.
  ask_program || say_fail 4 "$FLAGS says $VALUE, but what $PROGRAM does cannot be read: $why"
  [ "$live" = "$VALUE" ] || put_back
  print_routes
  section end
}
