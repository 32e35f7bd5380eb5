# What reached a pool's published ports within WINDOW seconds, by the kernel's own counts of each container's network:
# connections that were accepted, and TCP segments that came in. Variables: PROJECT APP WINDOW.
set -- --filter "label=com.docker.compose.project=$PROJECT" --filter "label=pointsman.app=$APP"
pm_ids=$(docker ps -q "$@") || exit 70
pm_open=
for pm_id in $pm_ids; do
  pm_ports=$(docker inspect --format '{{range $p, $b := .NetworkSettings.Ports}}{{if $b}}{{$p}} {{end}}{{end}}' "$pm_id") || continue
  [ -z "$pm_ports" ] || pm_open="$pm_open $pm_id"
done
[ -n "$pm_open" ] || { echo "0 0"; exit 0; }
pm_count() {
  pm_accepted=0 pm_segments=0
  for pm_id in $pm_open; do
    pm_pid=$(docker inspect --format '{{.State.Pid}}' "$pm_id") || say_fail 1 "$pm_id went away"
    # The second line of `Tcp:` has the values; PassiveOpens is the 6th, InSegs the 10th.
    set -- $({ cat "/proc/$pm_pid/net/snmp" 2>/dev/null || docker exec "$pm_id" cat /proc/net/snmp; } | grep '^Tcp: [0-9]')
    [ $# -ge 11 ] || say_fail 1 "the network counts of $pm_id cannot be read"
    pm_accepted=$((pm_accepted + $7)) pm_segments=$((pm_segments + ${11}))
  done
}
pm_count
pm_before="$pm_accepted $pm_segments"
# A rate has no condition to wait for: it is what happens within a time.
sleep "$WINDOW"
pm_count
set -- $pm_before
printf '%s %s\n' "$((pm_accepted - $1))" "$((pm_segments - $2))"
