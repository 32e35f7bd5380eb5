# What a flip will need of this router; changes nothing.
section helper; echo "$helper"
section tools
for tool in flock timeout base64 awk cmp cp mv mktemp mkfifo; do command -v "$tool" >/dev/null 2>&1 || echo "$tool"; done
section socket
if [ ! -S "$SOCKET" ]; then echo missing; elif [ ! -w "$SOCKET" ]; then echo forbidden; else echo usable; fi
section map-file
if [ -h "$MAP" ]; then echo link; elif [ ! -e "$MAP" ]; then echo missing
elif [ ! -f "$MAP" ]; then echo no-file; elif [ ! -r "$MAP" ]; then echo unreadable; else echo readable; fi
section folder; [ -w "${MAP%/*}" ] && echo writable
section user; id -un
section info; ask "$SOCKET" 3 'show info' || :; printf '%s\n' "$answer"
section level; ask "$SOCKET" 3 'show cli level' || :; printf '%s\n' "$answer"
section map; ask "$SOCKET" 3 "get map $MAP $KEY" || :; printf '%s\n' "$answer"
value_of "$answer"
live=$value
section uses; count_uses && echo "$uses"
section stat; ask "$SOCKET" 3 'show stat -1 4 -1' || :; printf '%s\n' "$answer"
section backends; ask "$SOCKET" 3 'show backend' || :; printf '%s\n' "$answer"
each_worker note_worker
print_routes "$live"
section end
