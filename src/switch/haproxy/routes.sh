# What each worker, and the file, do with our key.

# The value in an answer of `get map`, as `value`; empty where the key is not there.
value_of() {
  value=
  case $1 in
    *" key=\"$KEY\", value=\""*) value=${1#*" key=\"$KEY\", value=\""} value=${value%%\"*} ;;
  esac
}

# `until ask SOCKET ...; do again; done`, after `tries_of SOCKET`: a master that reloads is away for as long as it reads
# its configuration, whatever was asked of it before. A worker's own socket never is: one try must do.
tries_of() {
  tries=1
  [ "$1" != "$MASTER" ] || tries=20
}
again() {
  tries=$((tries - 1))
  case $tries:$answer in
    0:* | *'No such file'* | *[Pp]ermission* | *'in time'*) return 1 ;;
  esac
  sleep 0.1 2>/dev/null || sleep 1
}

# Seconds that a worker has to say where it sends requests. It takes milliseconds, but not on a router whose processors
# are all busy. Once one has not said it in time, the others have a second each: what hangs must not hold up the rest.
patience=2

# `read_in SOCKET PREFIX`: the value that this worker uses, as `value`. Fails when it did not say.
read_in() {
  value=
  tries_of "$1"
  until ask "$1" "$patience" "${2}get map $MAP $KEY"; do
    again || { patience=1; return 1; }
  done
  value_of "$answer"
  [ -n "$value" ]
}

# What HAProxy would load from a map file for our key. Forced to text: awk would take 1e1 and 10 for one key.
value_in() { awk -v key="$KEY" '$1 "" == key "" { $1 = ""; print substr($0, 2); exit }' "$1" 2>/dev/null; }

# `each_worker FUNCTION`: asks the master who serves, and calls FUNCTION PID for every worker. `left` is set for those
# that a reload left behind. What cannot be known is said in `problems`.
workers= problems=
each_worker() {
  workers= problems=
  [ -n "$MASTER" ] || return 0
  # When it answers again after a reload, the workers that it names are all there are.
  tries_of "$MASTER"
  until ask "$MASTER" 3 'show proc'; do
    again || {
      problems="the workers that a reload left behind cannot be listed: ${answer%"$nl"}$nl"
      return 0
    }
  done
  list=$answer left=
  while read -r pid kind rest; do
    case "$pid $kind $rest" in
      '# old workers'*) left=yes ;;
      '#'*) left= ;;
      *) [ "$kind" = worker ] && "$1" "$pid" ;;
    esac
  done <<END
$list
END
}

# `note_worker PID`: what it does, where that is not simply `live`, for print_routes.
note_worker() {
  if read_in "$MASTER" "@!$1 "; then
    [ -z "$left" ] && [ "$value" = "$live" ] || workers=$workers$1\ $value$nl
  else
    # One that has ended meanwhile serves nobody.
    case $answer in
      *"Can't find the target PID"*) ;;
      *) problems="${problems}worker $1 did not say where it sends requests: ${answer%"$nl"}$nl" ;;
    esac
  fi
}

# `print_routes LIVE`
print_routes() {
  section live; printf '%s\n' "$1"
  section file; value_in "$MAP"; echo
  section workers; printf '%s' "$workers"
  section problems; printf '%s' "$problems"
}
