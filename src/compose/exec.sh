# Runs a command in the service's first running container.
pm_ids=$(docker ps -q --filter "label=com.docker.compose.project=$PROJECT" --filter "label=pointsman.app=$APP" \
  --filter "label=com.docker.compose.service=$SERVICE" --filter label=com.docker.compose.oneoff=False \
  --filter status=running) || exit 70
# shellcheck disable=SC2086
set -- $pm_ids
[ $# -gt 0 ] || say_fail 66 "service $SERVICE of project $PROJECT has no running container here"
pm_id=$1
in_container() { docker exec "$pm_id" "$@"; }
in_container_argv
