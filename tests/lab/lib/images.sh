# The images of the lab. Each is tagged with a hash of its recipe and of what it starts from, so that any checkout with
# the same recipe finds it built, and nothing stale is ever used.
# shellcheck shell=bash
readonly REPO=pmlab
readonly TAGS=(v1 v2 v3 v-bad v-sick v-slow v-stale v-liar v-nomigrate)
export DOCKER_BUILDKIT=0

# The files of DIR[:DIR...] as one archive. Owners, times and modes are made equal, and empty directories left out, so
# that every checkout of the same files gives the same bytes, whatever its umask.
context() {
  local dirs d args=() lists
  IFS=: read -ra dirs <<<"$1"
  lists=$(mktemp -d)
  for d in "${dirs[@]}"; do
    (cd "$d" && find . ! -type d -print0 | LC_ALL=C sort -z) >"$lists/${#args[@]}"
    args+=(-C "$d" --null -T "$lists/${#args[@]}")
  done
  tar --mtime=@0 --owner=0 --group=0 --numeric-owner --mode='u=rwX,go=rX' -cf - "${args[@]}"
  rm -rf "$lists"
}
hash12() { sha256sum | cut -c1-12; }

# image_tag NAME CONTEXT PARENT [DOCKERFILE]
image_tag() { printf '%s/%s:%s' "$REPO" "$1" "$({ context "$2"; echo "$3" "${4:-}"; } | hash12)"; }
# New clients tell at every build that this builder is old; whatever else it says matters.
quiet_builder() { grep -v -e DEPRECATED -e BuildKit -e 'environment-variable' -e '^$' >&2 || :; }
have_image() { docker image inspect "$1" >/dev/null 2>&1; }
build_image() {
  local tag=$1 dir=$2 parent=$3 file=${4:-Dockerfile}
  have_image "$tag" && return 0
  context "$dir" | stage "image ${tag%:*}" docker build -q --network host --force-rm -f "$file" \
    --build-arg "BASE=$parent" -t "$tag" - >/dev/null 2> >(quiet_builder)
}

name_images() {
  local i=$LAB_DIR/images a=$LAB_DIR/app
  IMG_BASE=$REPO/base:$(declare -f own_sources make_base | hash12)
  IMG_MACHINE=$(image_tag machine "$i/machine" "$IMG_BASE")
  IMG_V1=$(image_tag docker-v1 "$i/docker:$i/common" "$IMG_MACHINE" Dockerfile.v1)
  IMG_V2=$(image_tag docker-v2 "$i/docker:$i/common" "$IMG_MACHINE" Dockerfile.v2)
  IMG_ROUTER=$(image_tag router "$i/router:$i/common" "$IMG_MACHINE")
  IMG_VPS=$(image_tag vps "$i/router:$i/common" "$IMG_V2")
  IMG_REGISTRY=$(image_tag registry "$i/registry" "$IMG_BASE")
  IMG_DB=$(image_tag database "$i/database" "$IMG_BASE")
  IMG_SHOP=$(image_tag shop-base "$a/rails" "$IMG_BASE")
  IMG_NGINX=$(image_tag shop-nginx-base "$a/nginx" "$IMG_BASE")
  # What the registry holds, and what a host is seeded with: named by all that went into them.
  VOL_RELEASES=$REPO-releases-$({ context "$a/tags"; cat "$a/tag.Dockerfile"; echo "$IMG_SHOP $IMG_NGINX $IMG_REGISTRY ${TAGS[*]}"; } | hash12)
  VOL_SEED=$REPO-seed-$({ cat "$i/docker/lab-seed"; echo "$IMG_SHOP $IMG_NGINX"; } | hash12)
}

ensure_images() {
  local i=$LAB_DIR/images a=$LAB_DIR/app jobs=()
  have_image "$IMG_BASE" || stage "base image" make_base "$IMG_BASE"
  build_image "$IMG_MACHINE" "$i/machine" "$IMG_BASE"
  (
    build_image "$IMG_V1" "$i/docker:$i/common" "$IMG_MACHINE" Dockerfile.v1
    build_image "$IMG_ROUTER" "$i/router:$i/common" "$IMG_MACHINE"
  ) & jobs+=($!)
  (
    build_image "$IMG_V2" "$i/docker:$i/common" "$IMG_MACHINE" Dockerfile.v2
    build_image "$IMG_VPS" "$i/router:$i/common" "$IMG_V2"
  ) & jobs+=($!)
  (
    build_image "$IMG_NGINX" "$a/nginx" "$IMG_BASE"
    build_image "$IMG_REGISTRY" "$i/registry" "$IMG_BASE"
    build_image "$IMG_SHOP" "$a/rails" "$IMG_BASE"
    build_image "$IMG_DB" "$i/database" "$IMG_BASE"
  ) & jobs+=($!)
  join_all "${jobs[@]}" || die "an image could not be built (see above)"
}

have_volume() { docker volume inspect "$1" >/dev/null 2>&1; }
volume_dir() { docker volume inspect -f '{{.Mountpoint}}' "$1"; }
volume_done() { have_volume "$1" && [[ -e $(volume_dir "$1")/.done ]]; }

# build_release TAG RECIPE REGISTRY [FILLER]: the app's and nginx's images of one release, as REGISTRY/shop:TAG, not yet
# pushed. FILLER is `random:8M` or `zeros:300M`: a file of that size in the app's image, which compresses not at all or
# to nothing.
build_release() {
  local tag=$1 recipe=$2 registry=$3 filler=${4:-} work
  work=$(mktemp -d)
  mkdir -p "$work/shop/app" "$work/nginx/usr/share/shop"
  [[ $recipe == base ]] || cp -r "$LAB_DIR/app/tags/$recipe/." "$work/shop/app/"
  [[ $recipe == "$tag" || $recipe == base ]] || echo "$tag" >"$work/shop/app/RELEASE"
  echo "$tag" >"$work/nginx/usr/share/shop/RELEASE"
  case $filler in
    '') ;;
    random:*) head -c "${filler#*:}" /dev/urandom >"$work/shop/app/filler" ;;
    zeros:*) head -c "${filler#*:}" /dev/zero >"$work/shop/app/filler" ;;
    *) die "no filler '$filler'" ;;
  esac
  [[ $tag == base ]] || {
    release_image "$work/shop" "$IMG_SHOP" "$tag" "$registry/shop:$tag" "--chown=1000:1000"
    release_image "$work/nginx" "$IMG_NGINX" "$tag" "$registry/shop-nginx:$tag" ""
  }
  rm -rf "$work"
}
release_image() {
  local dir=$1 base=$2 tag=$3 name=$4 chown=$5
  sed "s/^COPY /COPY $chown /" "$LAB_DIR/app/tag.Dockerfile" >"$dir/Dockerfile.tag"
  echo Dockerfile.tag >"$dir/.dockerignore"
  context "$dir" | docker build -q --force-rm -f Dockerfile.tag --build-arg "BASE=$base" --build-arg "TAG=$tag" \
    -t "$name" - >/dev/null 2>&1 || die "release $tag could not be built"
}

# A plain registry on the machine's own loopback, over the given volume: for filling and for seeding.
with_filler() {
  local vol=$1 box=$REPO-filler; shift
  docker rm -f "$box" >/dev/null 2>&1 || :
  docker run -d --name "$box" -v "$vol:/var/lib/registry" --publish 127.0.0.1::5000 "$IMG_REGISTRY" >/dev/null
  FILLER=$(docker port "$box" 5000/tcp | head -n 1)
  wait_for 20 "the filling registry" curl -fsS -o /dev/null "http://$FILLER/v2/"
  "$@"
  docker rm -f "$box" >/dev/null
}

fill_releases() {
  local tag n
  for n in shop shop-nginx; do
    [[ $n == shop ]] && docker tag "$IMG_SHOP" "$FILLER/$n:base" || docker tag "$IMG_NGINX" "$FILLER/$n:base"
    docker push -q "$FILLER/$n:base" >/dev/null
  done
  for tag in "${TAGS[@]}"; do
    build_release "$tag" "$tag" "$FILLER"
    for n in shop shop-nginx; do docker push -q "$FILLER/$n:$tag" >/dev/null; done
  done
  for tag in base "${TAGS[@]}"; do docker rmi "$FILLER/shop:$tag" "$FILLER/shop-nginx:$tag" >/dev/null; done
}

# The engine of a throw-away host pulls what all releases share; its image store is kept.
fill_seed() {
  local box=$REPO-seeder
  docker rm -f "$box" >/dev/null 2>&1 || :
  docker run -d --name "$box" "${RIGHTS[@]}" --network "container:$REPO-filler" --tmpfs /run -v "$VOL_SEED:/var/lib/docker" \
    --entrypoint /bin/sh "$IMG_V2" -c 'exec /usr/bin/tini -- /etc/service/dockerd/run' >/dev/null
  wait_for 60 "the seeding engine" docker exec "$box" docker info
  docker exec "$box" lab-seed 127.0.0.1:5000
  docker exec "$box" sh -c 'kill "$(cat /run/docker.pid)"'
  docker wait "$box" >/dev/null
  docker rm -f "$box" >/dev/null
}

ensure_releases() {
  volume_done "$VOL_RELEASES" && volume_done "$VOL_SEED" && return 0
  if ! volume_done "$VOL_RELEASES"; then
    docker volume rm -f "$VOL_RELEASES" >/dev/null; docker volume create "$VOL_RELEASES" >/dev/null
    stage "releases: built and pushed" with_filler "$VOL_RELEASES" fill_releases
    touch "$(volume_dir "$VOL_RELEASES")/.done"
  fi
  if ! volume_done "$VOL_SEED"; then
    docker volume rm -f "$VOL_SEED" >/dev/null; docker volume create "$VOL_SEED" >/dev/null
    stage "seed of a host's images" with_filler "$VOL_RELEASES" fill_seed
    touch "$(volume_dir "$VOL_SEED")/.done"
  fi
}

# What the caches hold for other recipes than this checkout's.
prune_caches() {
  local keep v
  name_images
  keep="$IMG_BASE $IMG_BASE-raw $IMG_MACHINE $IMG_V1 $IMG_V2 $IMG_ROUTER $IMG_VPS $IMG_REGISTRY $IMG_DB $IMG_SHOP $IMG_NGINX"
  docker images --format '{{.Repository}}:{{.Tag}}' | { grep "^$REPO/" || :; } | while read -r v; do
    [[ " $keep " == *" $v "* ]] || docker rmi "$v" >/dev/null 2>&1 || say "still used: $v"
  done
  docker volume ls -q | { grep -E "^$REPO-(releases|seed)-" || :; } | while read -r v; do
    [[ $v == "$VOL_RELEASES" || $v == "$VOL_SEED" ]] || docker volume rm "$v" >/dev/null
  done
}
