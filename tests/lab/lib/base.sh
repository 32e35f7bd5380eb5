# The Debian that every image starts from: pulled where a registry can be reached, else made from this machine's own
# apt sources.
# shellcheck shell=bash
readonly BASE_SUITE=bookworm

# Prints "deb URI SUITE main" lines for what this machine itself uses.
own_sources() {
  local uri suite component
  apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT)' 'Origin: Debian' 'Identifier: Packages' |
    while read -r uri suite component; do
      [[ $component == main && $suite == $BASE_SUITE* ]] && echo "deb $uri $suite main"
    done | sort -u
}

make_base() {
  local tag=$1 work sources more=usr-is-merged
  if timeout 15 docker pull -q "${LAB_BASE_IMAGE:-debian:$BASE_SUITE-slim}" >/dev/null 2>&1; then
    docker tag "${LAB_BASE_IMAGE:-debian:$BASE_SUITE-slim}" "$tag-raw"
  else
    [[ $(. /etc/os-release && echo "$ID") == debian ]] ||
      die "no registry can be reached for debian:$BASE_SUITE-slim, and this is not a Debian that could build it"
    command -v mmdebstrap >/dev/null || apt_install mmdebstrap
    sources=$(own_sources)
    [[ -n $sources ]] || { apt-get update -qq; sources=$(own_sources); }
    [[ -n $sources ]] || die "found no apt source for Debian $BASE_SUITE on this machine"
    # Certificates only for sources that need them: they bring all of Perl.
    [[ $sources != *https:* ]] || more+=,ca-certificates
    work=$(mktemp -d)
    mmdebstrap --quiet --variant=minbase --include=$more \
      --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
      --dpkgopt='path-exclude=/usr/share/locale/*' \
      --aptopt='Dir::Cache::pkgcache ""' --aptopt='Dir::Cache::srcpkgcache ""' \
      --aptopt='Acquire::Languages "none"' \
      --customize-hook='rm -rf "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/* "$1"/var/log/*' \
      "$BASE_SUITE" "$work/base.tar" - <<<"$sources" >&2 || { rm -rf "$work"; return 1; }
    docker import --change 'CMD ["/bin/sh"]' "$work/base.tar" "$tag-raw" >/dev/null
    rm -rf "$work"
  fi
  docker build -q --network host -t "$tag" - >/dev/null 2> >(quiet_builder) <<DOCKERFILE
FROM $tag-raw
RUN printf 'Acquire::Languages "none";\nAPT::Install-Recommends "false";\nAPT::Get::Assume-Yes "true";\n' >/etc/apt/apt.conf.d/90lab \
 && printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d
DOCKERFILE
}
