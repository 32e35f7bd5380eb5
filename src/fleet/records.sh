# Writes what pointsman keeps on a server; runs under the guard.
# Variables: STATE RUN; CLAIM, UNCLAIM, PROVEN, UNPROVEN name a pool or are empty; UNLOCK is `yes` or
# empty. Function: pm_release (the proven release).
umask 077
put() {
  cat >"$1.tmp" && { sync "$1.tmp" || sync; } 2>/dev/null && mv -f "$1.tmp" "$1" && { sync "${1%/*}" || sync; } 2>/dev/null
}
mkdir -p "$STATE/claims" "$STATE/proven"
if [ -n "$CLAIM" ]; then printf '%s\n' "$RUN" | put "$STATE/claims/$CLAIM" || say_fail 1 "cannot write the claim"; fi
if [ -n "$UNPROVEN" ]; then rm -f "$STATE/proven/$UNPROVEN.json"; fi
if [ -n "$PROVEN" ]; then pm_release | put "$STATE/proven/$PROVEN.json" || say_fail 1 "cannot write the proof"; fi
if [ -n "$UNCLAIM" ]; then rm -f "$STATE/claims/$UNCLAIM"; fi
if [ -n "$UNLOCK" ]; then
  # First: an answer that is lost makes the run ask again.
  rm -f "$STATE/runs/$RUN/holds"
  if [ "$(cat "$STATE/holder" 2>/dev/null)" = "$RUN" ]; then rm -f "$STATE/holder" "$STATE/owner.json"; fi
fi
exit 0
