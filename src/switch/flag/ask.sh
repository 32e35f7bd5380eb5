# Asks the program which pool it uses, and reads the flag. Variables: PROGRAM, FLAGS, STATUS_PORT, STATUS_NAME.

# Which pool the program itself says that it uses, as `live`: it looks at the flag, as for each request.
ask_program() {
  live=
  fetch 3 127.0.0.1 "$STATUS_PORT" / "$STATUS_NAME" || { why="$PROGRAM at 127.0.0.1:$STATUS_PORT: $why"; return 1; }
  live=${body%"$nl"}
  case $code:$live in
    200:blue | 200:green) ;;
    *)
      why="expected $PROGRAM to say at 127.0.0.1:$STATUS_PORT for $STATUS_NAME which pool it uses, found status $code: see $see_config"
      return 1
      ;;
  esac
}

# What the flag says; nothing where that cannot be known.
flag() {
  [ -d "$FLAGS" ] && [ -x "$FLAGS" ] || return 0
  if [ -f "$FLAGS/green" ]; then echo green; else echo blue; fi
}

print_routes() {
  section live; printf '%s\n' "$live"
  section flag; flag
}
