# What a flip will need of this router; changes nothing. Variables: BACKENDS (two names).
section helper; echo "$helper"
section tools; for tool in flock timeout base64 awk; do command -v "$tool" >/dev/null 2>&1 || echo "$tool"; done
section info; talk "$SOCKET" 'show info' 2>&1 | grep -E '^(Version|Name|Pid):'
section level; talk "$SOCKET" 'show cli level' 2>&1
section socket; [ -S "$SOCKET" ] && echo there; [ -w "$SOCKET" ] && echo writable
section master; [ -n "$MASTER" ] && { [ -w "$MASTER" ] && echo writable; }
section map; talk "$SOCKET" "show map $MAP" 2>&1
section file; [ -f "$MAP" ] && echo there; [ -h "$MAP" ] && echo link; [ -w "${MAP%/*}" ] && echo folder-writable
section file-value; value_in_file
section stat; talk "$SOCKET" 'show stat -1 6 -1' 2>&1
section backends; talk "$SOCKET" 'show backend' 2>&1
section end
