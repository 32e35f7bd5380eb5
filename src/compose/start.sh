# Starts the release's containers; what ran in this pool before is replaced. `up`'s own verdict is not
# proof of anything: the checks are.
cd "$DIR" 2>/dev/null || say_fail 1 "$DIR is not there: the release is not on this host"
up="up -d --force-recreate --remove-orphans --no-build"
[ "$variant" != v2 ] || up="$up --pull never"
compose_release $up 2>&1 || exit 1
umask 077
printf '%s\n' "$RELEASE" >"$STATE/$POOL/.current.new" && mv -f "$STATE/$POOL/.current.new" "$STATE/$POOL/current"
