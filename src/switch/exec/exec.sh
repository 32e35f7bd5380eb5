# Asks the user's program. Functions: `program` is its command line, and the following write its requests.
# For one that reads, `observe_request`; for a flip, `prepare_request` and `move_request`.
# `commit` ends with 0 (moved; what the program says of it is printed), 3 (nothing is changed, now or later) or another
# code (in doubt): as the program does.
ask() {
  section said
  "$1" | program
  told=$?
  case $told in
    0) section end ;;
    126 | 127) say_fail 1 "the program of [switch.exec] cannot be run: expected it on this router, found none that can be" ;;
    *) exit "$told" ;;
  esac
}
