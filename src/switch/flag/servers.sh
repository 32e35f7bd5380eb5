# How this router reaches the servers of both pools.
# Variables: SERVERS, lines of POOL NAME ADDRESS PORT; HEALTH, the path that a server answers; HEALTH_NAME, with this name.

# The program does not say how it finds its servers, so they are asked from here, all at once. One that is there connects
# in milliseconds; a line each is written whole.
ask_servers() {
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
}
