# Asks kamal-proxy what it does. Variables: SERVICE; POOLS, lines of POOL TARGET,TARGET...
# Functions: `proxy` is its command line, `state` prints its state file.
escape=$(printf '\033')
see_config='`pointsman switch config`'
nl='
'

# The service's row in its list: `target`, `state`, `host`, `path` and `tls`. Its table is coloured, and has its columns by name.
ask_proxy() {
  target= state= host= path= tls=
  listed=$(proxy list 2>&1) || { why="kamal-proxy cannot be asked: ${listed:-it said nothing}"; return 1; }
  row=$(printf '%s\n' "$listed" | sed "s/$escape\[[0-9;]*m//g" | awk -v service="$SERVICE" '
    !heads && $1 == "Service" { for (i = 1; i <= NF; i++) name[i] = tolower($i); heads = NF; next }
    heads && NF == heads && $1 == service { for (i = 2; i <= NF; i++) print name[i], $i; exit }')
  while read -r name value; do
    case $name in target) target=$value ;; state) state=$value ;; host) host=$value ;; path) path=$value ;; tls) tls=$value ;; esac
  done <<END
$row
END
  [ -n "$target" ] || {
    why="expected a service $SERVICE in \`kamal-proxy list\`, found none: see $see_config"
    return 1
  }
}

# Its state file as one line.
kept() { state 2>/dev/null | tr -d '\n'; }

print_routes() {
  section service; printf '%s\n' "$SERVICE"
  section pools; printf '%s\n' "$POOLS"
  section target; printf '%s\n' "$target"
  section running; printf '%s\n' "$state"
  section kept; kept
}
