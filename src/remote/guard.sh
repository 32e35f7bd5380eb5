# The guard: performs one mutation on this server under the fence (DESIGN.md 6).
#
# Variables: STATE RUN STEP EPOCH; OP is `run`, `cas`, `set` or `arm`; EXPECT (cas), HOLDER and
# OWNER (cas, set), STEAL (runs whose lock may be taken over), DEADLINE and LOCK_WAIT and LEASE in
# seconds; LINES is empty, `wanted` or `required`, and the function pm_lines writes journal lines, kept before anything is done; pm_payload
# writes the work to do. The last section of the output is the verdict: everything else on standard
# output is the payload's own.

umask 077
verdict() { section guard; printf '%s\n' "$*"; }
broken() { verdict "broken $*"; exit 0; }

# `write FILE` takes a file's next content from standard input; `publish FILE...` makes what was
# written the current content, in this order, so that a power cut leaves the old or the new of each.
# Both are for files of one folder: a sync is what costs here, so there are two for all of them.
write() { cat >"$1.tmp"; }
publish() {
  next=
  for file in "$@"; do next="$next $file.tmp"; done
  # The paths have no blanks: the inventory takes none.
  { sync $next || sync; } 2>/dev/null
  for file in "$@"; do mv -f "$file.tmp" "$file" || return 1; done
  { sync "${1%/*}" || sync; } 2>/dev/null
  return 0
}

for tool in flock timeout base64; do
  command -v "$tool" >/dev/null 2>&1 || broken "$tool is not installed on this server"
done
mkdir -p "$STATE/runs" 2>/dev/null || broken "cannot create $STATE"
record=$STATE/runs/$RUN/$STEP

# The lock is held for the whole mutation, so that a newer run's fence waits for older work to end.
exec 9>>"$STATE/lock" || broken "cannot open $STATE/lock"
flock -w "$LOCK_WAIT" 9 || { verdict busy; exit 0; }

seen=0
[ ! -e "$STATE/epoch" ] || seen=$(cat "$STATE/epoch")
case $seen in '' | *[!0-9]*) broken "$STATE/epoch does not hold a number" ;; esac

if [ "$seen" -gt "$EPOCH" ]; then verdict "fenced $seen"; exit 0; fi
# Room for how it ends is taken before anything is done: a disk that is full refuses the work, and one that the work
# fills up does not hide how it ended, unless the file system puts what is written over in a new place: then it is in
# doubt. `note FILE WORD` writes over the same bytes, whatever the word.
note() { printf '%-10s\n' "$2" 1<>"$1"; }
ended() { note "$record.rc.tmp" "$1" && publish "$record.rc"; }
# Only who may change something here gets a folder: a loser has touched nothing.
admitted() {
  mkdir -p "$STATE/runs/$RUN" 2>/dev/null || broken "cannot create $STATE/runs/$RUN"
  rm -f "$record.rc"
  noted=$record.rc.tmp
  [ "$OP" != arm ] || noted="$noted $record.stage"
  for file in $noted; do
    { note "$file" preparing; } 2>/dev/null || broken "cannot write $file: is a disk full, or read-only?"
  done
}
# The intent is durable here before its mutation. A cut write ended without a newline: readers skip it.
keep_lines() {
  [ -n "$LINES" ] || return 0
  journal=$STATE/runs/$RUN/journal.jsonl
  { [ ! -s "$journal" ] || [ -z "$(tail -c 1 "$journal")" ] || echo; pm_lines; } 2>/dev/null >>"$journal" && { sync "$journal" || sync; } 2>/dev/null && return 0
  [ "$LINES" = wanted ] || broken "cannot write $journal"
}
STEAL_LIST=" $STEAL "
case $OP in
  cas | set)
    holder=
    [ ! -e "$STATE/holder" ] || holder=$(cat "$STATE/holder")
    # Who holds the lock is decided where runs compare and set: what an older run has left on another server, even
    # after it ended, by a command that came late, keeps nobody out.
    [ "$OP" = cas ] || [ "$seen" -ge "$EPOCH" ] || holder=
    if [ -n "$holder" ] && [ "$holder" != "$RUN" ] && [ "${STEAL_LIST#*" $holder "}" = "$STEAL_LIST" ]; then
      section owner
      cat "$STATE/owner.json" 2>/dev/null
      verdict "locked $holder"
      exit 0
    fi
    if [ "$OP" = cas ] && [ "$seen" -ne "$EXPECT" ]; then verdict "raced $seen"; exit 0; fi
    admitted
    files=$STATE/epoch
    printf '%s\n' "$EPOCH" | write "$STATE/epoch" || broken "cannot write $STATE/epoch"
    if [ -n "$HOLDER" ]; then
      printf '%s\n' "$OWNER" | write "$STATE/owner.json" || broken "cannot write $STATE/owner.json"
      printf '%s\n' "$HOLDER" | write "$STATE/holder" || broken "cannot write $STATE/holder"
      files="$files $STATE/owner.json $STATE/holder"
      : >"$STATE/runs/$RUN/holds" || broken "cannot write $STATE/runs/$RUN/holds"
    fi
    keep_lines
    publish $files || broken "cannot write in $STATE"
    ;;
  *)
    if [ "$seen" -lt "$EPOCH" ]; then verdict "unfenced $seen"; exit 0; fi
    # A lock that somebody took away by hand may be anybody's by now on the next server: nothing more is done.
    if [ -e "$STATE/runs/$RUN/holds" ]; then
      holder=$(cat "$STATE/holder" 2>/dev/null)
      if [ "$holder" != "$RUN" ]; then verdict "lost $holder"; exit 0; fi
    fi
    admitted
    keep_lines
    ;;
esac

finish() {
  section guard-stderr
  cat "$record.err" 2>/dev/null
  verdict "done $1"
}

if [ "$OP" = arm ]; then
  # The payload runs in a shell of its own, without the lock's descriptor, so that nothing that it
  # starts can outlive the lock; this shell holds the lock until that one has ended.
  stage=$record.stage
  exec 5<&0
  (
    trap 'exit 12' TERM
    eval "$(pm_payload)"
    prepare >"$record.out" 2>"$record.err" </dev/null || exit $?
    note "$stage" armed || exit 13
    cat "$record.out"
    verdict armed
    word=
    read -r word || :
    [ "$word" = commit ] || exit 11
    # From here on the work is done even if the client is gone.
    trap '' TERM HUP PIPE
    note "$stage" committing || exit 14
    commit >"$record.out" 2>"$record.err" </dev/null
  ) <&5 9>&- &
  inner=$!
  # A client that hangs must not hold the lock for ever.
  (sleep "$LEASE"; kill -TERM "$inner") >/dev/null 2>&1 5<&- 9>&- &
  watchdog=$!
  trap '' HUP PIPE
  wait "$inner"
  code=$?
  kill "$watchdog" 2>/dev/null
  case $(cat "$stage") in
    committing*)
      ended "$code"
      cat "$record.out"
      finish "$code"
      ;;
    armed*) verdict cancelled ;;
    *)
      section guard-stderr
      cat "$record.err"
      verdict "unprepared $code"
      ;;
  esac
  exit 0
fi

(
  trap '' HUP
  pm_payload | timeout -k 5 "$DEADLINE" sh -s >"$record.out" 2>"$record.err" 9>&-
  ended "$?"
) </dev/null >/dev/null 2>&1 &
exec 9>&-
wait $!
if [ -e "$record.rc" ]; then
  cat "$record.out"
  finish "$(cat "$record.rc")"
else
  # It may have been done, and may have failed: nobody can say any more (a folder that was taken away, for one).
  verdict unrecorded
fi
