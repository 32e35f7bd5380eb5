# Ends a pull by which nothing arrives for STALL seconds. On a terminal docker writes a line for every piece of a layer
# that arrives (a hundredth of it, 512 KiB at most), so its output grows for as long as something does.
pull_watch() {
  trap - EXIT HUP INT TERM
  pm_before=
  pm_quiet=0
  while sleep 1 && kill -0 "$1"; do
    pm_now=$(wc -c <"$pm_config/said")
    if [ "$pm_now" != "$pm_before" ]; then
      pm_before=$pm_now
      pm_quiet=0
      continue
    fi
    pm_quiet=$((pm_quiet + 1))
    [ "$pm_quiet" -lt "$STALL" ] || { : >"$pm_config/stalled" && kill "$1"; return; }
  done
}
# Pulls $1; $pm_said is what docker said of it. Waits as login_run does, so that traps run at once.
pull_one() {
  pm_watch=
  rm -f "$pm_config/stalled"
  : >"$pm_config/said"
  if script --version 2>/dev/null | grep -q util-linux; then
    SHELL=/bin/sh PM_IMAGE=$1 script -qefc 'exec docker pull "$PM_IMAGE"' /dev/null >"$pm_config/said" 2>&1 &
    pm_child=$!
    pull_watch "$pm_child" </dev/null >/dev/null 2>&1 &
    pm_watch=$!
  else
    # Without a terminal there is one line a layer, which says nothing of a large one: the deadline alone counts.
    docker pull "$1" >"$pm_config/said" 2>&1 &
    pm_child=$!
  fi
  wait "$pm_child"
  pm_code=$?
  pm_child=
  [ -z "$pm_watch" ] || kill "$pm_watch" 2>/dev/null
  pm_watch=
  # What docker says of its progress is not why it failed.
  pm_said=$(tr '\r' '\n' <"$pm_config/said" | sed "s/$(printf '\033')\\[[0-9;?]*[A-Za-z]//g" |
    grep -Ev '^ *$|^[0-9a-f]{12}: |: Pulling from ' | tail -n 5)
  # script answers 0 when it is ended, so its code says nothing here.
  [ ! -e "$pm_config/stalled" ] || { pm_said="no byte arrived for $STALL s" && pm_code=124; }
  return "$pm_code"
}
# Pulls each of IMAGES (one a line, NAME@DIGEST) that the host does not have yet.
pull() {
  login_prepare
  section pulled
  set -f
  IFS='
'
  for pm_image in $IMAGES; do
    unset IFS
    if docker image inspect --format '{{.Id}}' "$pm_image" >/dev/null 2>&1; then
      printf 'present %s\n' "$pm_image"
      continue
    fi
    login_once
    if pull_one "$pm_image"; then
      printf 'pulled %s\n' "$pm_image"
    else
      section failed
      printf 'pull %s\n%s\n' "$pm_image" "$pm_said"
      exit 69
    fi
  done
  set +f
  section end
}
