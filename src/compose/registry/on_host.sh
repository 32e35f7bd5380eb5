# For registries that only the servers reach: pulls a tag and says which digest that was.
login_prepare
login_once
login_run docker pull "$IMAGE" || {
  section failed
  printf 'pull %s\n%s\n' "$IMAGE" "$pm_said"
  exit 69
}
section digests
docker image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' "$IMAGE" || exit 70
section architecture
docker image inspect --format '{{.Architecture}}' "$IMAGE" || exit 70
