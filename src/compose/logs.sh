# The last lines of each container of the project, or of one service, each in a section of its name.
set -- --filter "label=com.docker.compose.project=$PROJECT" --filter "label=pointsman.app=$APP"
[ -z "$SERVICE" ] || set -- "$@" --filter "label=com.docker.compose.service=$SERVICE"
pm_ids=$(docker ps -aq "$@") || exit 70
for pm_id in $pm_ids; do
  pm_name=$(docker inspect --format '{{.Name}}' "$pm_id") || continue
  section "${pm_name#/}"
  docker logs --tail "$TAIL" "$pm_id" 2>&1
done
