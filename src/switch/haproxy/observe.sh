# What this router does now, in one connection.
answer=$(talk "$SOCKET" "show map $MAP; show stat -1 4 -1") || say_fail 1 "$SOCKET cannot be read"
print_routes "$answer"
section stat; printf '%s\n' "$answer" | sed -n '/^# pxname/,$p'
section end
