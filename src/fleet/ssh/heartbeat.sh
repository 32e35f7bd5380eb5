# Says that a run is alive, in a file of its own: no lock is needed, and no other run's file is touched.
# Variables: STATE RUN PHASE.
umask 077
[ -d "$STATE/runs/$RUN" ] || exit 0
printf '%s\n' "$PHASE" >"$STATE/runs/$RUN/heartbeat"
