# What this router does now; flag/servers.sh goes before it, since kamal-proxy does not tell how it finds its servers.
ask_proxy || say_fail 1 "$why"
print_routes
ask_servers
section end
