# Replaces the map's file by a rename, so that it is the old one or the new one, whole.
folder=${MAP%/*}
# One name an app, not a process: what a killed flip left behind is overwritten by the next.
new=$folder/.$KEY.pointsman-new
old=$folder/.$KEY.pointsman-old
room=
see_config='`pointsman switch config`'

settle() { { sync "$1" || sync; } 2>/dev/null; }

# The file that is there and the one that will be: `edit` makes the one from the other.
write_files() {
  [ ! -h "$MAP" ] || { why="$MAP is a symbolic link: expected a plain file that can be replaced"; return 1; }
  [ -f "$MAP" ] || { why="$MAP is not there: see $see_config"; return 1; }
  why="cannot write in $folder: the SSH user must own it, and the disk have room"
  rm -f "$new" "$old"
  cp -p "$MAP" "$old" && cp -p "$MAP" "$new" || return 1
  edit <"$old" >"$new" || return 1
  settle "$new"
}

# Apps that share the file have guards of their own: the folder's lock keeps one from undoing the other's line.
hold() {
  if [ -n "$relaying" ]; then request hold 2 "$folder"; else exec 8<"$folder" && flock -w 2 8; fi
}
# Fails with 1 where nothing was replaced: the file that is there is no longer the one that was copied.
replace() {
  if [ -n "$relaying" ]; then
    request replace 2 "$new" "$MAP" "$old"
  else
    cmp -s "$MAP" "$old" && mv -f "$new" "$MAP" || { answer=changed; return 1; }
    settle "$folder" || { answer="cannot sync $folder"; return 2; }
  fi
}
