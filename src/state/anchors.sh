# Copies of journals on hosts, for switches that are an API: files of one run each, which no other run writes.
# Variables: STATE RUN; OP is `append`, `begin`, `beat`, `look` or `epoch`; PHASE (beat), EPOCH (begin). Function: pm_lines (append).
umask 077
folder=$STATE/runs/$RUN
case $OP in
  append)
    mkdir -p "$folder" || say_fail 1 "cannot create $folder"
    journal=$folder/journal.jsonl
    # A cut write ended without a newline: readers skip it.
    { [ ! -s "$journal" ] || [ -z "$(tail -c 1 "$journal")" ] || echo; pm_lines; } >>"$journal" || say_fail 1 "cannot write $journal"
    { sync "$journal" || sync; } 2>/dev/null
    ;;
  begin)
    mkdir -p "$folder" && : >>"$folder/heartbeat" && echo "$EPOCH" >"$folder/epoch"
    ;;
  beat)
    [ ! -d "$folder" ] || printf '%s\n' "$PHASE" >"$folder/heartbeat"
    ;;
  epoch)
    # What fenced this host, what took the lock by hand, and what every run wrote in each line of its journal.
    { echo 0; cat "$STATE/epoch" "$STATE"/runs/*/epoch 2>/dev/null
      grep -ho '"epoch":[0-9]*' "$STATE"/runs/*/journal.jsonl 2>/dev/null | cut -d: -f2; } | sort -n | tail -n 1
    ;;
  look)
    section journal; cat "$folder/journal.jsonl" 2>/dev/null
    section heartbeat; cat "$folder/heartbeat" 2>/dev/null
    section seconds; stat -c %Y "$folder" "$folder/journal.jsonl" "$folder/heartbeat" 2>/dev/null | sort -n | tail -n 1
    section clock; date +%s
    section end
    ;;
esac
exit 0
