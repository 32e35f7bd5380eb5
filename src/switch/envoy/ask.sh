# Asks Envoy what it does, by its status listener, and reads the runtime file. Behind fetch.sh.
# Variables: APP, FILE, STATUS_PORT, STATUS_NAME.
# Two values, of one file, so that they change together: `pointsman.APP.route`, LIVE:NEXT:PERCENT, which says what was meant;
# and `pointsman.APP.green`, the share of green in percent, which the routes look at for each request.
page() {
  fetch 3 127.0.0.1 "$STATUS_PORT" "$1" "$STATUS_NAME" || { why="Envoy at 127.0.0.1:$STATUS_PORT: $why"; return 1; }
  [ "$code" = 200 ] || {
    why="expected Envoy to answer at 127.0.0.1:$STATUS_PORT$1 for $STATUS_NAME, found status $code: see $see_config"
    return 1
  }
}

# `value NAME`: what Envoy's list of runtime values, without blanks, ends up with for it.
value() {
  printf '%s\n' "$runtime" | awk -v key="\"pointsman.$APP.$1\":{" -v final='"final_value":"' '{
    if (!(at = index($0, key))) exit
    rest = substr($0, at + length(key))
    rest = substr(rest, 1, index(rest, "}") - 1)
    if (!(at = index(rest, final))) exit
    rest = substr(rest, at + length(final))
    print substr(rest, 1, index(rest, "\"") - 1)
  }'
}

# `route` and `green`, as Envoy has them; `answer`, the pool that its routes chose for a request of ours.
ask_envoy() {
  route= green= answer=
  page /runtime || return 1
  runtime=$(printf '%s' "$body" | tr -d ' \n\r\t')
  route=$(value route) green=$(value green)
  page / || return 1
  answer=${body%"$nl"}
  [ -n "$route" ] || { why="expected Envoy to have a value pointsman.$APP.route, found none: see $see_config"; return 1; }
}

# Its main thread has a new value a moment before its workers have: whether they do as it says.
agrees() {
  case $green:$answer in
    0:blue | 100:green) ;;
    0:* | 100:*) return 1 ;;
    *:blue | *:green) ;;
    *) return 1 ;;
  esac
}

print_routes() {
  section app; printf '%s\n' "$APP"
  section route; printf '%s\n' "$route"
  section green; printf '%s\n' "$green"
  section answer; printf '%s\n' "$answer"
  section file; cat "$FILE" 2>/dev/null
}
