# What pointsman keeps on this server (DESIGN.md 6), as it stands now. Variable: STATE.
section epoch; cat "$STATE/epoch" 2>/dev/null
section holder; cat "$STATE/holder" 2>/dev/null
section owner; cat "$STATE/owner.json" 2>/dev/null
holder=$(cat "$STATE/holder" 2>/dev/null)
if [ -n "$holder" ]; then
  section holder-journal; cat "$STATE/runs/$holder/journal.jsonl" 2>/dev/null
  section heartbeat; cat "$STATE/runs/$holder/heartbeat" 2>/dev/null
  # The newest of what the holder writes: each of them is a sign of life.
  section owner-seconds
  stat -c %Y "$STATE/owner.json" "$STATE/runs/$holder" "$STATE/runs/$holder/heartbeat" 2>/dev/null | sort -n | tail -n 1
fi
section clock; date +%s
for pool in blue green; do
  section "claim-$pool"; cat "$STATE/claims/$pool" 2>/dev/null
  section "proven-$pool"; cat "$STATE/proven/$pool.json" 2>/dev/null
  section "current-$pool"; cat "$STATE/$pool/current" 2>/dev/null
done
section end
