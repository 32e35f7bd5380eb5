# Moves this router; runs under the guard, which holds the lock from `prepare` to the end of `commit`.
# Variable: VALUE (live:next:percent). The file is renamed first, so that a reload keeps what is set.
folder=${MAP%/*}
new=$folder/.pointsman.$$.map
old=$folder/.pointsman.$$.old

prepare() {
  [ -n "$helper" ] || say_fail 1 "none of socat, perl, python3 and nc -U is here: one is needed to speak to HAProxy"
  [ ! -h "$MAP" ] || say_fail 1 "$MAP is a symbolic link: expected a plain file that can be replaced"
  [ -f "$MAP" ] || say_fail 1 "$MAP is not there: see \`pointsman switch config\`"
  trap 'rm -f "$new" "$old"' EXIT
  cp -p "$MAP" "$old" && cp -p "$MAP" "$new" || say_fail 1 "cannot write in $folder: it must belong to the deploy user"
  # Other apps' lines and comments stay as they are, byte for byte.
  awk -v key="$KEY" -v value="$VALUE" '
    $1 == key { if (!done) print key " " value; done = 1; next } { print } END { if (!done) print key " " value }
  ' "$MAP" >"$new" || say_fail 1 "cannot write $new"
  { sync "$new" || sync; } 2>/dev/null
  # Refused now, not in the middle of the flip: `set map` needs level admin.
  can=$(talk "$SOCKET" "show map $MAP" 2>&1) || say_fail 1 "$SOCKET: $can"
  case $can in
    *[Uu]nknown\ map* | '') say_fail 1 "HAProxy does not know the map $MAP: see \`pointsman switch config\`" ;;
    *[Pp]ermission*) say_fail 1 "$SOCKET refuses: $can" ;;
  esac
}

# Sets the value in one worker and prints its map as read back: set_in SOCKET PREFIX
set_in() {
  answer=$(talk "$1" "${2}set map $MAP $KEY $VALUE; ${2}show map $MAP" 2>&1) || { echo "$answer" >&2; return 1; }
  [ "$(printf '%s\n' "$answer" | value_in_map)" != "$VALUE" ] || { printf '%s\n' "$answer"; return 0; }
  case $answer in
    *[Nn]ot\ found* | *[Uu]nable\ to\ find*)
      answer=$(talk "$1" "${2}add map $MAP $KEY $VALUE; ${2}show map $MAP" 2>&1)
      [ "$(printf '%s\n' "$answer" | value_in_map)" != "$VALUE" ] || { printf '%s\n' "$answer"; return 0; }
      ;;
  esac
  printf '%s: expected %s after \140set map\140, found: %s\n' "$1" "$VALUE" "$(printf '%s' "$answer" | head -c 300)" >&2
  return 1
}

commit() {
  mv -f "$new" "$MAP" || say_fail 1 "cannot replace $MAP"
  { sync "$folder" || sync; } 2>/dev/null
  if ! answer=$(set_in "$SOCKET" ''); then
    mv -f "$old" "$MAP" && { sync "$folder" || sync; } 2>/dev/null
    return 1
  fi
  for pid in $(old_workers); do set_in "$MASTER" "@!$pid " >/dev/null; done
  print_routes "$answer"
  section end
}
