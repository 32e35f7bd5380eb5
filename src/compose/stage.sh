# Writes a release's folder. release.json comes last: where it is, the folder is whole.
# What is refused is told in the section `refused`, for the reader.
stage_refuse() {
  section refused
  printf '%s\n' "$1"
  say_fail 65 "$2"
}
stage_fsync() { sync "$1" 2>/dev/null || sync; }
# put NAME MODE SHA256 FUNCTION
stage_put() {
  pm_target=$pm_dir/$1
  [ ! -L "$pm_target" ] || stage_refuse "symlink $pm_target" "$pm_target is a symbolic link"
  [ ! -d "$pm_target" ] || stage_refuse "folder $pm_target" "$pm_target is a folder"
  if [ -f "$pm_target" ] && pm_sum=$(sha256sum <"$pm_target") && [ "${pm_sum%% *}" = "$3" ]; then
    chmod "$2" "$pm_target" || exit 70
    printf 'same %s\n' "$1"
    return 0
  fi
  # mktemp makes it new and private: nobody can have it open, or have laid a link there.
  pm_tmp=$(mktemp "$pm_dir/.pm-XXXXXX") || exit 70
  chmod "$2" "$pm_tmp" && "$4" >"$pm_tmp" && stage_fsync "$pm_tmp" || {
    rm -f "$pm_tmp"
    say_fail 70 "$pm_target could not be written"
  }
  pm_sum=$(sha256sum <"$pm_tmp")
  if [ "${pm_sum%% *}" != "$3" ]; then
    rm -f "$pm_tmp"
    stage_refuse "checksum ${pm_sum%% *} $3 $pm_target" "$pm_target arrived damaged"
  fi
  mv -f "$pm_tmp" "$pm_target" || exit 70
  printf 'written %s\n' "$1"
}
stage() {
  umask 077
  pm_dir=$STATE/$POOL/releases/$RELEASE
  for pm_part in "$STATE" "$STATE/$POOL" "$STATE/$POOL/releases" "$pm_dir"; do
    [ ! -L "$pm_part" ] || stage_refuse "symlink $pm_part" "$pm_part is a symbolic link"
  done
  mkdir -p "$pm_dir" || exit 70
  # A killed run's unfinished files.
  rm -f "$pm_dir"/.pm-??????
  section staged
  if [ "$HAS_ENV" = 1 ]; then stage_put .env 600 "$ENV_SHA" env_file; fi
  stage_put docker-compose.yml 600 "$COMPOSE_SHA" compose_file
  stage_put pointsman.yml 600 "$OVERLAY_SHA" overlay_file
  stage_fsync "$pm_dir"
  stage_put release.json 600 "$RECORD_SHA" record_file
  stage_fsync "$pm_dir"
  stage_fsync "$STATE/$POOL/releases"
}
