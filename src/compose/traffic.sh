# What reaches a pool's published ports within WINDOW seconds, by the kernel's own counts of each container's network:
# connections that were accepted; those to a published port that are open, and the segments that came in where any is.
# Variables: PROJECT APP WINDOW.
set -- --filter "label=com.docker.compose.project=$PROJECT" --filter "label=pointsman.app=$APP"
pm_ids=$(docker ps -q "$@") || exit 70
[ -n "$pm_ids" ] || { echo "0 0 0"; exit 0; }
pm_open=
for pm_id in $pm_ids; do
  pm_ports=$(docker inspect --format '{{range $p, $b := .NetworkSettings.Ports}}{{if $b}}{{$p}} {{end}}{{end}}' "$pm_id") || continue
  [ -z "$pm_ports" ] || pm_open="$pm_open $pm_id"
done
[ -n "$pm_open" ] || say_fail 1 "no container of $PROJECT publishes a port"
# What a container's network says of itself: /proc/PID/net/NAME, or by its own `cat`.
pm_net() { cat "/proc/$pm_pid/net/$1" 2>/dev/null || docker exec "$pm_id" cat "/proc/net/$1" 2>/dev/null; }
pm_count() {
  pm_accepted=0 pm_segments=0 pm_established=0
  for pm_id in $pm_open; do
    pm_pid=$(docker inspect --format '{{.State.Pid}}' "$pm_id") || say_fail 1 "$pm_id went away"
    # The second line of `Tcp:` has the values; PassiveOpens is the 6th, InSegs the 10th.
    set -- $(pm_net snmp | grep '^Tcp: [0-9]')
    [ $# -ge 11 ] || say_fail 1 "the network counts of $pm_id cannot be read"
    pm_accepted=$((pm_accepted + $7)) pm_segments=$((pm_segments + ${11}))
    pm_hex=
    for pm_port in $(docker inspect --format '{{range $p, $b := .NetworkSettings.Ports}}{{if $b}}{{$p}} {{end}}{{end}}' "$pm_id"); do
      pm_hex="$pm_hex $(printf '%04X' "${pm_port%%/*}")"
    done
    # Established (01), to a published port, from elsewhere than the container itself.
    pm_established=$((pm_established + $({ pm_net tcp; pm_net tcp6; } | awk -v ports="$pm_hex" '
      BEGIN { n = split(ports, list, " "); for (i = 1; i <= n; i++) wanted[list[i]] = 1 }
      $4 == "01" {
        split($2, here, ":"); split($3, there, ":")
        if (here[2] in wanted && there[1] != "0100007F" && there[1] != "00000000000000000000000001000000" &&
            there[1] != "0000000000000000FFFF00000100007F") count++
      }
      END { print count + 0 }')))
  done
}
pm_count
pm_before="$pm_accepted $pm_segments"
# A rate has no condition to wait for: it is what happens within a time.
sleep "$WINDOW"
pm_count
set -- $pm_before
[ "$pm_established" -gt 0 ] && pm_came=$((pm_segments - $2)) || pm_came=0
printf '%s %s %s\n' "$((pm_accepted - $1))" "$pm_established" "$pm_came"
