# Writes the release's folder: complete, or not at all. Variables: DIR, SUMS (of the four files).
umask 077
if [ -f "$DIR/release.json" ]; then echo already; exit 0; fi
mkdir -p "$DIR" || say_fail 1 "cannot create $DIR"
[ ! -h "$DIR" ] || say_fail 1 "$DIR is a symbolic link: expected a folder"
set -- $SUMS
# put FILE MODE SUM: mode before content, checksum before the name.
put() {
  [ ! -h "$DIR/$1" ] || say_fail 1 "$DIR/$1 is a symbolic link: expected a plain file"
  rm -f "$DIR/.$1.new"
  (umask 077; : >"$DIR/.$1.new") && chmod "$2" "$DIR/.$1.new" || say_fail 1 "cannot write in $DIR"
  cat >"$DIR/.$1.new" || say_fail 1 "cannot write $DIR/$1: is the disk full?"
  { sync "$DIR/.$1.new" || sync; } 2>/dev/null
  found=$(sha256sum "$DIR/.$1.new" | cut -d' ' -f1)
  [ "$found" = "$3" ] || say_fail 1 "$DIR/$1 arrived broken: expected sha256 $3, found $found"
  mv -f "$DIR/.$1.new" "$DIR/$1" || say_fail 1 "cannot write $DIR/$1"
}
pm_compose | put docker-compose.yml 600 "$1" || exit 1
pm_env | put .env 600 "$2" || exit 1
pm_overlay | put pointsman.yml 600 "$3" || exit 1
# The record comes last: a folder that has it is complete.
pm_record | put release.json 600 "$4" || exit 1
{ sync "$DIR" || sync; } 2>/dev/null
echo staged
