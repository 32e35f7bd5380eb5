# Runs the migration once, in a container whose name says which run it is of, so that its exit code
# can be read whatever happens to this shell. Variables: SERVICE, NAME; function: migration (`in_service` and the command).
cd "$DIR" 2>/dev/null || say_fail 1 "$DIR is not there: the release is not on this host"
in_service() { compose_release run -T --no-deps --name "$NAME" "$SERVICE" "$@"; }
if [ -z "$(docker ps -aq --filter "name=^/$NAME\$")" ]; then
  migration 2>&1
fi
code=$(docker inspect --format '{{.State.ExitCode}}' "$NAME" 2>/dev/null) || say_fail 125 "the migration's container $NAME was never created"
running=$(docker inspect --format '{{.State.Running}}' "$NAME" 2>/dev/null)
if [ "$running" = true ]; then code=$(docker wait "$NAME"); fi
docker rm -f "$NAME" >/dev/null 2>&1
exit "$code"
