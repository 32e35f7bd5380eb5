# What a pool's nginx looks at to hand requests on. Variables: FOLDER; OP is `ready`, `on`, `off` or `gone`.
# EPOCH and NUMBER (on, off): what follows from an older note of the same epoch changes nothing; of the same note, `off` is later.
# Function: pm_snippet (ready). The folder is read by nginx in its container, whoever that is there.
umask 022
if [ "$OP" = gone ]; then
  # The folder stays: a container of this release may have it mounted.
  [ ! -d "$FOLDER" ] || rm -f "$FOLDER/on" "$FOLDER/forward.conf" || say_fail 1 "cannot remove what is in $FOLDER"
  exit 0
fi
mkdir -p "$FOLDER" && chmod 755 "$FOLDER" || say_fail 1 "cannot create $FOLDER"
last=-1
if [ -f "$FOLDER/order" ]; then
  read -r of number <"$FOLDER/order"
  [ "$of" != "$EPOCH" ] || last=$number
fi
case $OP in
  on) [ "$NUMBER" -gt "$last" ] || exit 0 ;;
  off) [ "$NUMBER" -ge "$last" ] || exit 0 ;;
esac
[ "$OP" = ready ] || printf '%s %s\n' "$EPOCH" "$NUMBER" >"$FOLDER/order" || say_fail 1 "cannot write $FOLDER/order"
case $OP in
  ready)
    pm_snippet >"$FOLDER/forward.conf.tmp" && chmod 644 "$FOLDER/forward.conf.tmp" &&
      mv -f "$FOLDER/forward.conf.tmp" "$FOLDER/forward.conf" && rm -f "$FOLDER/on" || say_fail 1 "cannot write in $FOLDER"
    ;;
  on) : >"$FOLDER/on" || say_fail 1 "cannot write $FOLDER/on" ;;
  off) rm -f "$FOLDER/on" || say_fail 1 "cannot remove $FOLDER/on" ;;
esac
exit 0
