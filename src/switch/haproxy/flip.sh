# Moves this router; runs under the guard, which holds the lock from `prepare` to the end of `commit`.
# Variable: VALUE (live:next:percent). The file is renamed first, so that a reload keeps what is set.
# `commit` ends with 0 (moved; what was read back is printed), 3 (nothing is changed, now or later) or another
# code (in doubt).

# The file with our own line changed: other apps' lines and comments stay as they are, byte for byte.
edit() {
  awk -v key="$KEY" -v value="$VALUE" '
    $1 "" == key "" { if (!done) print key " " value; done = 1; next }
    { print }
    END { if (!done) print key " " value }
  '
}

# A worker without our key can be given one; one without the map, or that does not answer, cannot be moved.
check_worker() {
  tries_of "$MASTER"
  until ask "$MASTER" "$patience" "@!$1 get map $MAP $KEY"; do
    again || { patience=1; break; }
  done
  case $answer in
    type=* | *"Can't find the target PID"*) ;;
    *) problems="${problems}worker $1 cannot be moved: ${answer%"$nl"}$nl" ;;
  esac
}

prepare() {
  [ -n "$helper" ] || say_fail 1 "$no_helper"
  trap 'rm -rf "$room" "$new" "$old"' EXIT
  start_relay
  # Refused now, not in the middle of the flip.
  ask "$SOCKET" 2 "show cli level; get map $MAP $KEY" || say_fail 1 "$answer"
  case $answer in
    *[Uu]nknown\ map*) say_fail 1 "HAProxy does not know the map $MAP: see $see_config" ;;
    admin*) ;;
    *) say_fail 1 "$SOCKET: expected level admin, found ${answer%%"$nl"*}: the flip sets a map" ;;
  esac
  each_worker check_worker
  [ -z "$problems" ] || say_fail 1 "${problems%"$nl"}"
  write_files || say_fail 1 "$why"
  [ -z "$relaying" ] || request open 2 "$SOCKET" || say_fail 1 "$SOCKET: $answer"
}

# `set_in SOCKET PREFIX`: sets the value in one worker; `value` is what it then used. `touched` says that some worker
# has it, or may get it yet.
touched=
set_in() {
  set_by 'set' "$@"
  case $answer in *'not found'*) set_by 'add' "$@" ;; esac
}
set_by() {
  value=
  tries_of "$2"
  # Sent again only where nothing was sent.
  until ask "$2" "$patience" "${3}$1 map $MAP $KEY $VALUE; ${3}get map $MAP $KEY"; do
    [ "$told" = 1 ] && again || break
  done
  case $told in
    0) value_of "$answer" ;;
    1) ;;
    *) touched=yes ;;
  esac
  [ "$value" != "$VALUE" ] || touched=yes
}

set_worker() {
  read_in "$MASTER" "@!$1 " || :
  [ "$value" = "$VALUE" ] || set_in "$MASTER" "@!$1 "
  note_worker "$1"
}

# Nothing was set: the file goes back. Only then is it true that nothing is changed.
put_back() {
  said=$answer
  [ -z "$touched" ] || say_fail 4 "expected $VALUE to be read back from $SOCKET, found ${live:-nothing} ($said); $MAP says $VALUE"
  mv -f "$old" "$MAP" || say_fail 4 "$MAP says $VALUE and could not be put back, after: $said"
  settle "$folder"
  # HAProxy may have loaded the new file while it was there.
  read_in "$SOCKET" '' || say_fail 4 "$MAP was put back, but what HAProxy does cannot be read: $answer"
  [ "$value" != "$VALUE" ] || say_fail 4 "$MAP was put back, but HAProxy loaded $VALUE from it before"
  say_fail 3 "expected $VALUE to be read back from $SOCKET, found $value ($said)"
}

commit() {
  hold || say_fail 3 "another flip holds the lock of $folder"
  replace
  told=$?
  if [ "$told" = 1 ]; then
    # Another app's line, most likely. Our own is nobody else's to change while the guard holds the lock.
    was=$(value_in "$old")
    write_files || say_fail 3 "$why"
    now=$(value_in "$old")
    [ "$now" = "$was" ] ||
      say_fail 3 "$MAP: expected $KEY to be ${was:-absent} still, found ${now:-none}: somebody changed it by hand"
    replace
    told=$?
  fi
  [ "$told" = 0 ] || say_fail $((told + 2)) "$MAP cannot be replaced: $answer"
  set_in "$SOCKET" ''
  # A reload may have put another worker behind the socket since the connection was opened: what counts is what a
  # new one finds.
  read_in "$SOCKET" '' || :
  if [ "$value" != "$VALUE" ]; then
    set_in "$SOCKET" ''
    [ "$value" = "$VALUE" ] || { live=$value; put_back; }
  fi
  live=$value
  # Asked after the rename: a worker that starts later than this answer reads the new file.
  each_worker set_worker
  print_routes "$live"
  section end
}
