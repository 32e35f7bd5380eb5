# Pulls images by digest, logged in for as long as that takes. Variables: SERVER, USERNAME (may be
# empty); function pm_password; the images are the words that `images` prints, one a line.
umask 077
# What a killed run left behind holds credentials: away with it.
base=${XDG_RUNTIME_DIR:-/tmp}
[ -w "$base" ] || base=/tmp
find "$base" -maxdepth 1 -user "$(id -un)" -name 'pointsman-docker-*' -mmin +60 -exec rm -rf {} + 2>/dev/null
DOCKER_CONFIG=$(mktemp -d "$base/pointsman-docker-XXXXXX") || say_fail 1 "no private folder for the registry's login could be made"
export DOCKER_CONFIG
trap 'rm -rf "$DOCKER_CONFIG"' EXIT
trap 'exit 143' TERM INT HUP
logged_in=
images | while read -r image; do
  [ -n "$image" ] || continue
  if docker image inspect "$image" >/dev/null 2>&1; then echo "has $image"; continue; fi
  if [ -n "$USERNAME" ] && [ -z "$logged_in" ]; then
    said=$(pm_password | docker login --username "$USERNAME" --password-stdin "$SERVER" 2>&1) || say_fail 3 "login: $said"
    logged_in=yes
  fi
  said=$(docker pull --quiet "$image" 2>&1) || say_fail 4 "$image: $said"
  echo "pulled $image"
done
