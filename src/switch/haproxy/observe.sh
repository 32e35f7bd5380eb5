# What this router does now.
[ -n "$helper" ] || say_fail 1 "$no_helper"
ask "$SOCKET" 5 "get map $MAP $KEY; show stat -1 4 -1" || say_fail 1 "$answer"
value_of "$answer"
live=$value stat=$answer
each_worker note_worker
print_routes "$live"
section answer; printf '%s\n' "$stat"
section end
