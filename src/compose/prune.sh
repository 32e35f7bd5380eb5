# Removes what was decided upon: RELEASES (ids of POOL) and IMAGES (NAME@DIGEST), one a line.
# What turned out to be in use meanwhile stays: the engine never removes an image of a container.
set -f
IFS='
'
pm_current=$(cat "$STATE/$POOL/current" 2>/dev/null)
section releases
for pm_release in $RELEASES; do
  pm_dir=$STATE/$POOL/releases/$pm_release
  if [ "$pm_release" = "$pm_current" ]; then
    printf 'kept %s\n' "$pm_release"
  elif [ -L "$pm_dir" ] || [ ! -d "$pm_dir" ]; then
    printf 'absent %s\n' "$pm_release"
  else
    # The record goes first: a folder without it is never taken for a release.
    rm -f "$pm_dir/release.json" && rm -rf "$pm_dir" && printf 'removed %s\n' "$pm_release"
  fi
done
section images
for pm_image in $IMAGES; do
  if ! docker image inspect --format '{{.Id}}' "$pm_image" >/dev/null 2>&1; then
    printf 'absent %s\n' "$pm_image"
  elif docker image rm "$pm_image" >/dev/null 2>&1; then
    printf 'removed %s\n' "$pm_image"
  else
    printf 'kept %s\n' "$pm_image"
  fi
done
section end
