# One JSON object a container. Field by field: the whole of `docker inspect` shows the environment.
inspect_containers() {
  docker inspect --format '{"id":{{json .Id}},"name":{{json .Name}},"state":{{json .State.Status}},"exit_code":{{.State.ExitCode}},"oom_killed":{{.State.OOMKilled}},"error":{{json .State.Error}},"restarts":{{.RestartCount}},"service":{{json (index .Config.Labels "com.docker.compose.service")}},"release":{{json (index .Config.Labels "pointsman.release")}},"addresses":[{{range .NetworkSettings.Networks}}{{json .IPAddress}},{{json .GlobalIPv6Address}},{{end}}""],"image_id":{{json .Image}},"image":{{json .Config.Image}}}' "$@"
}
# The project's containers that Compose keeps up; those of `compose run` are not among them.
list_containers() {
  section containers
  pm_ids=$(docker ps -aq --no-trunc --filter "label=com.docker.compose.project=$PROJECT" \
    --filter label=com.docker.compose.oneoff=False) || exit 70
  # Unquoted: ids are hexadecimal. One that vanishes meanwhile is not among the answers.
  [ -z "$pm_ids" ] || inspect_containers $pm_ids
  section end
}
