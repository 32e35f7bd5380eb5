# Writes of the store that is the routers themselves; runs under the guard, which has compared the epoch.
# Variables: STATE RUN; OP is `append`, `heartbeat` or `release`; FIRST (append), PHASE (heartbeat).
# Function: pm_lines (append). Says `applied`, `already` or `fenced HOLDER`.
umask 077
holder=$(cat "$STATE/holder" 2>/dev/null)
if [ "$holder" != "$RUN" ]; then
  # The epoch is still ours, so nobody came since: this very call gave the lock back before.
  if [ "$OP" = release ] && [ -z "$holder" ]; then echo already; else echo "fenced $holder"; fi
  exit 0
fi
runs=$STATE/runs/$RUN
case $OP in
  append)
    journal=$runs/journal.jsonl
    new=$runs/journal.new
    have=0
    if [ -e "$journal" ]; then
      have=$(wc -l <"$journal")
      # A power cut may have left half a line, which nobody was told of.
      if [ -n "$(tail -c 1 "$journal")" ]; then
        head -n "$have" "$journal" >"$journal.tmp" && mv -f "$journal.tmp" "$journal" || say_fail 1 "cannot write $journal"
      fi
    fi
    [ "$have" -ge "$FIRST" ] || say_fail 1 "expected line $((have)) of the journal next, found line $FIRST"
    pm_lines >"$new" || say_fail 1 "cannot write $new"
    lines=$(wc -l <"$new")
    both=$((have - FIRST))
    [ "$both" -le "$lines" ] || both=$lines
    if [ "$both" -gt 0 ]; then
      theirs=$(tail -n "+$((FIRST + 1))" "$journal" | head -n "$both" | cksum)
      ours=$(head -n "$both" "$new" | cksum)
      [ "$ours" = "$theirs" ] || say_fail 1 "the journal says something else there, from line $FIRST on"
    fi
    if [ "$both" -lt "$lines" ]; then
      tail -n "+$((both + 1))" "$new" >>"$journal" || say_fail 1 "cannot write $journal"
      { sync "$journal" || sync; } 2>/dev/null
      echo applied
    else
      echo already
    fi
    rm -f "$new"
    ;;
  heartbeat)
    printf '%s\n' "$PHASE" >"$runs/heartbeat" || say_fail 1 "cannot write $runs/heartbeat"
    # Results of heartbeats before this one; this one's is being written.
    find "$runs" -name 'heartbeat-*' -mmin +1 -type f -exec rm -f {} + 2>/dev/null
    echo applied
    ;;
  release)
    rm -f "$runs/holds" "$STATE/holder" "$STATE/owner.json" || say_fail 1 "cannot write in $STATE"
    echo applied
    ;;
  *) say_fail 1 "expected append, heartbeat or release, found $OP" ;;
esac
exit 0
