# Has the host's Compose read the file and its variables, without leaving anything behind. What it
# prints holds every secret of the env file, so only names, images and ports leave the host.
umask 077
pm_dir=$(mktemp -d "${TMPDIR:-/tmp}/pointsman-config-XXXXXX") || say_fail 70 "no private folder can be made in ${TMPDIR:-/tmp}"
trap 'rm -rf "$pm_dir"' EXIT
trap 'exit 129' HUP
trap 'exit 143' TERM
cd "$pm_dir" || exit 70
compose_file >docker-compose.yml || exit 70
overlay_file >pointsman.yml || exit 70
if [ "$HAS_ENV" = 1 ]; then env_file >.env || exit 70; fi
# In the background: the shell runs its traps while it waits, not while a program is in front.
compose config >merged.out 2>merged.err &
wait $!
pm_code=$?
section stderr
cat merged.err
section code
printf '%s\n' "$pm_code"
[ "$pm_code" = 0 ] || exit "$pm_code"
section services
awk '
  /^[^ ]/ { inside = ($0 ~ /^services:/); keep = 0; if (inside) print; next }
  !inside { next }
  /^  [^ ]/ { keep = 0; print; next }
  /^    [^ -]/ { keep = ($1 ~ /^(image|ports|container_name):/); if (keep) print; next }
  keep { print }
' merged.out
section end
