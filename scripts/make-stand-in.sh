#!/usr/bin/env bash
# Makes an image of a Debian release with debootstrap, under the name that Docker's official image has, for a host that can
# pull none. It holds the same packages, less documentation and translations, as the official slim one.
# Needs root, debootstrap and buildah.
# Usage: make-stand-in.sh TAG      as in bookworm-20261005-slim
set -euo pipefail
tag=$1
release=${tag%%-*}
# shellcheck disable=SC2016 # apt fills them in
mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' | sed -n "s/ $release\$//p" | sort -u | head -1)
[ -n "$mirror" ] || { echo "make-stand-in: apt on this host knows no mirror of Debian $release" >&2; exit 1; }
root=$(mktemp -d /var/tmp/stand-in.XXXXXX)
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"
debootstrap --variant=minbase "$release" "$root" "$mirror"
cat >"$root/etc/dpkg/dpkg.cfg.d/docker" <<'END'
path-exclude /usr/share/doc/*
path-include /usr/share/doc/*/copyright
path-exclude /usr/share/man/*
path-exclude /usr/share/info/*
path-exclude /usr/share/locale/*
path-exclude /usr/share/lintian/*
END
find "$root/usr/share/doc" -type f ! -name copyright -delete
find "$root/usr/share/doc" -mindepth 1 -type d -empty -delete
rm -rf "$root"/usr/share/{man,info,locale,lintian}/* "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* \
  "$root"/var/log/* "$root"/var/cache/ldconfig/aux-cache "$root"/etc/resolv.conf "$root"/etc/hostname
# The archive that it was made from is named to nobody: builds get theirs from --host-config.
rm -f "$root/etc/apt/sources.list"
container=$(buildah from scratch)
buildah add --quiet "$container" "$root" / >/dev/null
buildah config --cmd bash --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  --label "org.opencontainers.image.title=stand-in for debian:$tag" "$container"
buildah commit --quiet --rm "$container" "docker.io/library/debian:$tag" >/dev/null
