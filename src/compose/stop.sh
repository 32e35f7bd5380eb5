# Stops and removes what runs in this pool: by labels, so that it works without any file. Only what
# carries this app's and environment's labels is touched.
ours() { docker ps -aq --filter "label=com.docker.compose.project=$PROJECT" --filter "label=pointsman.app=$APP" --filter "label=pointsman.env=$ENVIRONMENT"; }
ids=$(ours)
[ -z "$ids" ] || docker stop $ids >/dev/null 2>&1
[ -z "$ids" ] || docker rm -f $ids >/dev/null || exit 1
networks=$(docker network ls -q --filter "label=com.docker.compose.project=$PROJECT")
[ -z "$networks" ] || docker network rm $networks >/dev/null 2>&1
rm -f "$STATE/$POOL/current"
if [ -n "$FORGET" ]; then rm -rf "$DIR"; fi
left=$(ours)
[ -z "$left" ] || say_fail 1 "containers of $PROJECT are still there: $left"
