# Stops and removes the pool's containers and networks. By label, not by file: it works for a
# release whose folder is gone, and never touches what is not ours.
pm_ours() {
  docker ps -q "$@" --filter "label=com.docker.compose.project=$PROJECT" \
    --filter "label=pointsman.app=$APP" --filter "label=pointsman.env=$ENV"
}
# A migration that still runs is ended by nobody but a person: half of it would be left in the database.
pm_migrating=$(pm_ours --filter "name=^/$PROJECT-migrate-") || exit 70
if [ -n "$pm_migrating" ]; then
  section migrating
  # shellcheck disable=SC2086
  docker inspect --format '{{.Name}}' $pm_migrating
  exit 75
fi
# First: nothing may say that it runs while it is being stopped.
rm -f "$STATE/$POOL/current" || exit 70
section stopped
pm_ids=$(pm_ours -a) || exit 70
if [ -n "$pm_ids" ]; then
  docker inspect --format '{{.Name}}' $pm_ids
  # A paused container gets no signal.
  pm_paused=$(pm_ours --filter status=paused)
  [ -z "$pm_paused" ] || docker unpause $pm_paused >/dev/null 2>&1
  # No time is given: each has its own stop_grace_period, and its own signal.
  docker stop $pm_ids >/dev/null
  docker rm $pm_ids >/dev/null
fi
section networks
for pm_net in $(docker network ls -q --filter "label=com.docker.compose.project=$PROJECT"); do
  # One that a stranger's container uses stays, and is told.
  docker network inspect --format '{{.Name}}' "$pm_net"
  docker network rm "$pm_net" >/dev/null
done
section left
pm_left=$(pm_ours -a) || exit 70
[ -z "$pm_left" ] || docker inspect --format '{{.Name}} {{.State.Status}}' $pm_left
section end
[ -z "$pm_left" ]
