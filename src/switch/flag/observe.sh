# What this router does now; servers.sh goes before it.
[ -n "$fetcher" ] || say_fail 1 "$no_fetcher"
ask_program || say_fail 1 "$why"
print_routes
ask_servers

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
