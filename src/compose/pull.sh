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
    if login_run docker pull "$pm_image"; then
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
