# What pointsman keeps on this server (DESIGN.md 6), as it stands now. Variable: STATE.
section epoch; cat "$STATE/epoch" 2>/dev/null
section holder; cat "$STATE/holder" 2>/dev/null
section owner; cat "$STATE/owner.json" 2>/dev/null
section owner-seconds; stat -c %Y "$STATE/owner.json" 2>/dev/null
section clock; date +%s
for pool in blue green; do
  section "claim-$pool"; cat "$STATE/claims/$pool" 2>/dev/null
  section "proven-$pool"; cat "$STATE/proven/$pool.json" 2>/dev/null
  section "current-$pool"; cat "$STATE/$pool/current" 2>/dev/null
done
section end
