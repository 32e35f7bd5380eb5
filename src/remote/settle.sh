# Reads the recorded result of a mutation whose answer was lost: waits for the lock that it holds
# while it runs, then looks. Variables: STATE, RECORD, LOCK_WAIT (seconds).
verdict() { section guard; printf '%s\n' "$*"; }
exec 9>>"$STATE/lock" || exit 1
flock -w "$LOCK_WAIT" 9 || { verdict busy; exit 0; }
[ -e "$RECORD.rc" ] || { verdict "broken no result was recorded"; exit 0; }
cat "$RECORD.out"
section guard-stderr
cat "$RECORD.err" 2>/dev/null
verdict "done $(cat "$RECORD.rc")"
