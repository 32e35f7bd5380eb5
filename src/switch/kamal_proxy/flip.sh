# Moves this router; runs under the guard, which holds the lock from `prepare` to the end of `commit`.
# Variables: WANTED, the targets of the pool; HOST, PATH_PREFIX and TLS, as the options say; ANSWER, its deploy-timeout in
# seconds. Function: `deploy` is the command line that moves the service, but for `--target`.
# `commit` ends as that of the HAProxy connector: 0 (moved), 3 (nothing is changed, now or later) or another (in doubt).

# A flip sets every option of the service: one that was given by hand and is not in the inventory would be taken away.
same_options() {
  while read -r what wanted found; do
    [ "$wanted" = "$found" ] || {
      why="[switch.kamal_proxy] options come to $what $wanted, but the service has $found: a flip would change it"
      return 1
    }
  done <<END
host $HOST $host
path $PATH_PREFIX $path
tls $TLS $tls
END
}

takes_many() { proxy deploy --help 2>/dev/null | grep -q -e '--target strings'; }

prepare() {
  ask_proxy || say_fail 1 "$why"
  same_options || say_fail 1 "$why"
  takes_many || say_fail 1 "expected a kamal-proxy that deploys to several targets at once (0.9), found an older one"
  was=$target
  said=$(mktemp) || say_fail 1 "cannot make a temporary file"
  trap 'rm -f "$said" "$said.code"' EXIT
}

# `deploy` returns only once the old pool's requests have ended; whether it has moved is seen in the list before.
has_moved() {
  ended=
  [ ! -s "$said.code" ] || ended=$(cat "$said.code")
  ask_proxy && [ "$target" = "$WANTED" ] && return 0
  [ -n "$ended" ] && [ "$ended" != 0 ]
}
# Its state file is written just after it has moved.
is_kept() {
  list=$(printf '%s' "$WANTED" | sed 's/,/","/g')
  case $(kept) in *"\"name\":\"$SERVICE\""*"\"active_targets\":[\"$list\"]"*) ;; *) return 1 ;; esac
}

commit() {
  : >"$said.code"
  # It goes on while the old pool drains, longer than this script: nothing of it is held open.
  (
    trap - EXIT
    deploy "--target=$WANTED" >"$said" 2>&1 </dev/null
    code=$?
    [ ! -e "$said.code" ] || echo "$code" >"$said.code"
  ) >/dev/null 2>&1 </dev/null &
  # Its own time for the servers to be healthy, and some more.
  until_true $((ANSWER + 5)) has_moved ||
    say_fail 4 "kamal-proxy did not move to $WANTED in time, and may yet: ${why:-it routes to $target}"
  if [ "$target" != "$WANTED" ]; then
    why=$(cat "$said")
    # It says 1 where it was refused. Any other end is of what stands between, and kamal-proxy may go on; Docker says 1
    # as well where it lost the program that it ran.
    case $why in
      *EOF* | *'from daemon'* | *'during connect'* | *'exec instance'* | *'connection reset'*) ;;
      *)
        [ "$ended" = 1 ] && [ "$target" = "$was" ] && say_fail 3 "kamal-proxy: ${why:-it said nothing}"
        ;;
    esac
    say_fail 4 "kamal-proxy ended with $ended (${why:-it said nothing}) and routes to ${target:-what cannot be read}"
  fi
  until_true 2 is_kept || :
  print_routes
  section end
}
