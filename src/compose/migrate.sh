# Runs the migration once. It lives in a container with a name of its own: if this script, its
# connection or the operator dies, the next call finds that container, waits for it and reads its
# exit code. It is never run a second time for the same run, and never killed from here.
# NAME: the container. SERVICE: whose image and settings. WAIT: seconds. RUN: the run's id.
cd "$STATE/$POOL/releases/$RELEASE" 2>/dev/null && [ -f release.json ] ||
  say_fail 66 "release $RELEASE is not staged in $STATE/$POOL/releases"
pm_result=$PWD/migrate-$RUN.code
migrate_tell() {
  section how
  printf '%s\n' "$1"
  section code
  printf '%s\n' "$2"
  section end
  exit 0
}
pm_ours() {
  docker ps -aq --no-trunc --filter "name=^/$NAME\$" --filter "label=pointsman.app=$APP" --filter "label=pointsman.env=$ENV"
}
pm_how=ran
pm_id=$(pm_ours) || exit 70
if [ -n "$pm_id" ]; then
  pm_how=found
elif [ -f "$pm_result" ]; then
  # It ended, was recorded, and its container was removed; only the answer got lost.
  migrate_tell recorded "$(cat "$pm_result")"
else
  migrate_start() {
    compose run -d -T --no-deps --name "$NAME" "$SERVICE" "$@" >/dev/null
  }
  # What ended after its own run had given up on it; one that still runs is left alone, and refused by the plan.
  pm_old=$(docker ps -aq --filter "name=^/$PROJECT-migrate-" --filter status=exited --filter "label=pointsman.app=$APP" --filter "label=pointsman.env=$ENV") || exit 70
  # shellcheck disable=SC2086
  [ -z "$pm_old" ] || docker rm $pm_old >/dev/null
  section start
  migrate_start_command
  pm_id=$(pm_ours) || exit 70
  [ -n "$pm_id" ] || say_fail 69 "the migration's container was not made"
fi
# Created and never started: the engine refused, or the client was cut in between. Nothing ran.
if [ "$(docker inspect --format '{{.State.Status}}' "$pm_id")" = created ]; then
  docker inspect --format '{{.State.Error}}' "$pm_id" >&2
  docker rm "$pm_id" >/dev/null
  say_fail 68 "the migration's container did not start"
fi
pm_ended=$(timeout "$WAIT" docker wait "$pm_id")
section log
docker logs --tail 500 "$pm_id" 2>&1
[ -n "$pm_ended" ] || {
  section running
  docker inspect --format '{{.State.Status}}' "$pm_id"
  exit 75
}
pm_ended=$(docker inspect --format '{{.State.ExitCode}}' "$pm_id") || exit 70
atomic_write "$pm_result" "$pm_ended"
docker rm "$pm_id" >/dev/null
migrate_tell "$pm_how" "$pm_ended"
