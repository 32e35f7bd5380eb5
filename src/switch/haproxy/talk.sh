# Speaks to HAProxy's sockets with whatever this router has.
# Variables: SOCKET, MASTER (may be empty), MAP, KEY. Functions: relay_pl and relay_py write the relay's text.
nl='
'
helper= relay=
for tool in perl python3 socat nc; do
  command -v "$tool" >/dev/null 2>&1 || continue
  case $tool in
    perl) perl -MSocket -MIO::Handle -e 1 2>/dev/null || continue; relay=$(relay_pl) ;;
    python3) python3 -c 'import fcntl, socket' 2>/dev/null || continue; relay=$(relay_py) ;;
    nc) nc -h 2>&1 | grep -q -- -U || continue ;;
  esac
  helper=$tool
  break
done
no_helper='expected perl, python3, socat or `nc -U` to speak to HAProxy, found none of them'

run_relay() {
  case $helper in
    perl) perl -e "$relay" ;;
    python3) python3 -c "$relay" ;;
  esac
}

# Keeps one relay running for all that follows. Where that cannot be, every `ask` starts its own.
relaying=
start_relay() {
  [ -n "$relay" ] || return 0
  # A full disk must not keep a router from moving: /dev/shm is memory.
  for base in /dev/shm "${TMPDIR:-/tmp}"; do
    room=$(mktemp -d "$base/pointsman.XXXXXX" 2>/dev/null) && break
  done
  [ -n "$room" ] && mkfifo "$room/ask" "$room/answer" 2>/dev/null || { rm -rf "$room"; return 0; }
  # Opened for both ways first, so that no end waits for the other. The relay holds no writing end of its own
  # input: it ends when this shell does, however that is.
  exec 6<>"$room/ask" 8<>"$room/answer" 7<"$room/answer"
  (exec <"$room/ask" >"$room/answer" 2>/dev/null 5<&- 6>&- 7<&- 8>&- 9>&-; run_relay) &
  exec 8>&-
  relaying=yes
  request open 2 "$SOCKET" || :
  rm -rf "$room"
}

# `request VERB SECONDS FIELD...`: one request to the relay. `answer` is what it said, or why it failed. Fails with 1
# when nothing happened, with 2 when it may have, or may yet.
request() {
  answer= status=
  pattern='%s\t%s\t%s\n'
  case $# in 4) pattern='%s\t%s\t%s\t%s\n' ;; 5) pattern='%s\t%s\t%s\t%s\t%s\n' ;; esac
  if [ -n "$relaying" ]; then
    printf "$pattern" "$@" >&6
    while IFS= read -r line <&7; do
      case $line in '@@ '*) status=${line#@@ }; break ;; esac
      answer=$answer$line$nl
    done
    [ -n "$status" ] || relaying=
  else
    answer=$(printf "$pattern" "$@" | run_relay 2>&1)
    case $answer in *'@@ '*) status=${answer##*@@ } answer=${answer%@@ *} ;; esac
  fi
  case $status in
    ok) return 0 ;;
    unsent\ *) answer=${status#unsent }; return 1 ;;
    lost\ *) answer=${status#lost }; return 2 ;;
    *) answer="$helper failed: $answer"; return 2 ;;
  esac
}

# `ask SOCKET SECONDS COMMANDS`: sends commands (with `;` between them); otherwise as `request`.
ask() {
  case $helper in
    perl | python3)
      request ask "$2" "$1" "$3"
      told=$?
      ;;
    *)
      case $helper in
        socat) answer=$(printf '%s\n' "$3" | socat -t "$2" -T "$2" - "UNIX-CONNECT:$1" 2>&1) ;;
        nc) answer=$(printf '%s\n' "$3" | nc -w "$2" -U "$1" 2>&1) ;;
        *) answer=$no_helper; return 1 ;;
      esac
      # Neither says whether HAProxy got what it did not answer.
      [ $? = 0 ] && [ -n "$answer" ]; told=$(($? * 2))
      [ -n "$answer" ] || answer='no answer in time'
      ;;
  esac
  [ "$told" = 0 ] || answer="$1: $answer"
  return "$told"
}

# How often HAProxy's configuration uses the map, as `uses`: once to route; more often where the checks look into it, too.
count_uses() {
  ask "$SOCKET" 2 'show map' || return 1
  uses=$(printf '%s\n' "$answer" | grep -F "$MAP" | grep -o 'by map at' | grep -c .) || :
}
