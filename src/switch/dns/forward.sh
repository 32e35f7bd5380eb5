# What a pool's nginx looks at to hand requests on. Variables: FOLDER; OP is `ready`, `on` or `off`.
# Function: pm_snippet (ready). The folder is read by nginx in its container, whoever that is there.
umask 022
mkdir -p "$FOLDER" && chmod 755 "$FOLDER" || say_fail 1 "cannot create $FOLDER"
case $OP in
  ready)
    pm_snippet >"$FOLDER/forward.conf.tmp" && chmod 644 "$FOLDER/forward.conf.tmp" &&
      mv -f "$FOLDER/forward.conf.tmp" "$FOLDER/forward.conf" && rm -f "$FOLDER/on" || say_fail 1 "cannot write in $FOLDER"
    ;;
  on) : >"$FOLDER/on" || say_fail 1 "cannot write $FOLDER/on" ;;
  off) rm -f "$FOLDER/on" || say_fail 1 "cannot remove $FOLDER/on" ;;
esac
exit 0
