# Removes old releases of this pool, and images that only they named. Variables: KEEP, RELEASE (the
# one that must stay).
cd "$STATE/$POOL/releases" 2>/dev/null || exit 0
current=$(cat ../current 2>/dev/null)
kept=0
# The newest first, by when they were staged.
for id in $(ls -1t); do
  [ -f "$id/release.json" ] || continue
  if [ "$id" = "$RELEASE" ] || [ "$id" = "$current" ]; then continue; fi
  kept=$((kept + 1))
  if [ "$kept" -gt "$KEEP" ]; then
    rm -rf "./$id" && echo "removed $id"
  fi
done
# Digests that a kept release of either pool of this environment names.
named=$(cat "$STATE"/*/releases/*/pointsman.yml 2>/dev/null | grep -o '"image": *"[^"]*@sha256:[0-9a-f]*"' | sed 's/.*"\([^"]*\)"$/\1/' | sort -u)
for name in $(printf '%s\n' "$named" | sed 's/@.*//' | sort -u); do
  docker images --digests --format '{{.Repository}}@{{.Digest}}' "$name" | sort -u | while read -r image; do
    case $image in *@sha256:*) ;; *) continue ;; esac
    printf '%s\n' "$named" | grep -qxF "$image" || { docker rmi "$image" >/dev/null 2>&1 && echo "removed $image"; }
  done
done
exit 0
