# Speaks to HAProxy's sockets with whatever this router has. Variables: SOCKET, MASTER (may be empty),
# MAP, KEY. `talk SOCKET COMMANDS` sends commands (with `;` between them) and prints the answer.
helper=
for tool in socat perl python3 nc; do
  command -v "$tool" >/dev/null 2>&1 || continue
  if [ "$tool" = nc ]; then nc -h 2>&1 | grep -q -- -U || continue; fi
  helper=$tool
  break
done
talk() {
  case $helper in
    socat) printf '%s\n' "$2" | socat -t 5 - "UNIX-CONNECT:$1" ;;
    perl) perl -MSocket -e '
        $SIG{ALRM} = sub { die "no answer within 5 s\n" }; alarm 5;
        socket(S, PF_UNIX, SOCK_STREAM, 0) && connect(S, pack_sockaddr_un($ARGV[0])) or die "$ARGV[0]: $!\n";
        syswrite S, "$ARGV[1]\n"; shutdown S, 1; print while <S>;' -- "$1" "$2" ;;
    python3) python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX); s.settimeout(5)
try:
    s.connect(sys.argv[1]); s.sendall(sys.argv[2].encode() + b"\n"); s.shutdown(1)
    while (part := s.recv(65536)):
        sys.stdout.buffer.write(part)
except OSError as error:
    sys.exit(f"{sys.argv[1]}: {error}")' "$1" "$2" ;;
    nc) printf '%s\n' "$2" | nc -w 5 -U "$1" ;;
    *) echo "none of socat, perl, python3 and nc -U is here: one is needed to speak to HAProxy" >&2; return 1 ;;
  esac
}
# The value of our key in the answer of `show map` ("0x... KEY VALUE") or in the file ("KEY VALUE").
value_in_map() { awk -v key="$KEY" '$2 == key { print $3; exit }'; }
value_in_file() { [ -r "$MAP" ] && awk -v key="$KEY" '$1 == key { print $2; exit }' "$MAP"; }
# Process ids of the workers that a reload left behind: after the line "# old workers".
old_workers() {
  [ -n "$MASTER" ] || return 0
  talk "$MASTER" 'show proc' | awk '/^# old workers/ { old = 1; next } /^#/ { old = 0 } old && $1 ~ /^[0-9]+$/ { print $1 }'
}
# Routes of the current worker (from the answer of `show map` given), of the file, of older workers.
print_routes() {
  section live; printf '%s\n' "$1" | value_in_map
  section file; value_in_file
  section workers
  for pid in $(old_workers); do
    printf '%s %s\n' "$pid" "$(talk "$MASTER" "@!$pid show map $MAP" | value_in_map)"
  done
}
