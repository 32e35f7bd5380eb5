# What this router does now, and what Envoy says of the servers of both pools. Variable: CLUSTERS.
[ -n "$fetcher" ] || say_fail 1 "$no_fetcher"
ask_envoy || say_fail 1 "$why"
# A flip that is just being done: its workers follow at once.
agrees || { until_true 1 eval 'ask_envoy && agrees'; [ -n "$route" ] || say_fail 1 "$why"; }
print_routes
for cluster in $CLUSTERS; do
  page "/clusters?filter=%5E$cluster%24" || say_fail 1 "$why"
  section "$cluster"
  printf '%s\n' "$body" | awk '/::(hostname|health_flags|rq_active)::/'
done
section end
