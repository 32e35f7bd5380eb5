# Starts a staged release. `current` names it only once Compose has said that all is up.
cd "$STATE/$POOL/releases/$RELEASE" 2>/dev/null && [ -f release.json ] ||
  say_fail 66 "release $RELEASE is not staged in $STATE/$POOL/releases"
# Compose takes any container with this project's name for its own, and would replace it.
pm_strangers=$(docker ps -a --filter "label=com.docker.compose.project=$PROJECT" \
  --format '{{.Names}} {{.Label "pointsman.app"}}/{{.Label "pointsman.env"}}') || exit 70
pm_strangers=$(printf '%s\n' "$pm_strangers" | awk -v ours="$APP/$ENV" 'NF && $2 != ours { print $1 }')
[ -z "$pm_strangers" ] || {
  section strangers
  printf '%s\n' "$pm_strangers"
  say_fail 67 "containers of project $PROJECT that pointsman did not start"
}
# What a run that is taken over has started stays up: `current` says that Compose had finished it.
if [ "$ADOPT" = yes ] && [ "$(cat "$STATE/$POOL/current" 2>/dev/null)" = "$RELEASE" ]; then
  pm_ours() { docker ps -q "$@" --filter "label=com.docker.compose.project=$PROJECT" --filter "label=pointsman.release=$RELEASE"; }
  pm_all=$(pm_ours -a) || exit 70
  pm_up=$(pm_ours --filter status=running) || exit 70
  if [ -n "$pm_all" ] && [ "$pm_all" = "$pm_up" ]; then
    section adopted
    list_containers
    section code
    echo 0
    exit 0
  fi
fi
rm -f "$STATE/$POOL/current"
# Never from the registry, where Compose can be told so: what runs is what was pulled and checked.
pm_pull=
if compose up --help 2>/dev/null | grep -q -e '--pull '; then pm_pull='--pull never'; fi
# shellcheck disable=SC2086
compose up -d --force-recreate --remove-orphans --no-build $pm_pull
pm_code=$?
list_containers
section code
printf '%s\n' "$pm_code"
[ "$pm_code" = 0 ] || exit "$pm_code"
atomic_write "$STATE/$POOL/current" "$RELEASE"
