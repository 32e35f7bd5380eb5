# What this router does now, and how it reaches the servers of both pools.
# Variables: SERVERS, lines of POOL NAME ADDRESS PORT; HEALTH, the path that a server answers; HEALTH_NAME, with this name.
[ -n "$fetcher" ] || say_fail 1 "$no_fetcher"
ask_program || say_fail 1 "$why"
print_routes

# The program does not say how it finds its servers, so they are asked from here, all at once. One that is there connects
# in milliseconds; a line each is written whole.
section servers
while read -r pool name host port; do
  {
    if ! fetch 2 "$host" "$port" "$HEALTH" "${HEALTH_NAME:-$host}"; then found="DOWN ($why)"
    else
      case $code in 2??) found=UP ;; *) found="DOWN (status $code)" ;; esac
    fi
    printf '%s\n' "$pool $name $found" | tr '\n' ' ' | { read -r line; printf '%s\n' "$line"; }
  } </dev/null &
done <<END
$SERVERS
END
wait

# Connections to them: each has a request in progress, since the configuration keeps none open.
section sockets
awk '$4 == "01" { count[$3]++ } END { for (to in count) print to, count[to] }' /proc/net/tcp /proc/net/tcp6 2>/dev/null
section addresses
while read -r pool name host port; do
  getent ahosts "$host" 2>/dev/null | awk -v name="$name" -v pool="$pool" -v port="$port" '!seen[$1]++ { print pool, name, $1, port }'
done <<END
$SERVERS
END
section end
