#!/usr/bin/env bash
# Builds the images of the Dockerfile with buildah, which needs no daemon. What a build gives depends on the commit, the
# base and the packages alone: times are the commit's. docs/images.md has the same with docker.
# Usage: build-images.sh [OPTIONS] [operator] [predictor]      both, if none is named
#   --torch cpu|cuda        PyTorch's build for the predictor; default cpu
#   --torch-index URL       the package index to take PyTorch from, if the usual one has another build
#   --torch-wheels FOLDER   serves that folder of wheels as such an index while building
#   --name PREFIX           images are called PREFIX/operator and PREFIX/predictor; default ghcr.io/tidecast
#   --tag TAG               default: the project's version
#   --host-config           lets pip and apt use this host's configuration and certificates; none of it is in an image
#   --stand-in              makes a base of the same Debian release with debootstrap, for hosts that can pull none
#   --archive FOLDER        also writes PREFIX-NAME.tar there, a compressed OCI archive
#   --no-cache              builds each layer anew
set -euo pipefail
cd "$(dirname "$0")/.."

torch=cpu torch_index='' torch_wheels='' name=ghcr.io/tidecast archive='' host_config='' stand_in=''
tag=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
targets=()
options=()
while [ $# -gt 0 ]; do
  case $1 in
    --torch) torch=$2; shift ;;
    --torch-index) torch_index=$2; shift ;;
    --torch-wheels) torch_wheels=$(realpath "$2"); shift ;;
    --name) name=$2; shift ;;
    --tag) tag=$2; shift ;;
    --archive) archive=$(realpath "$2"); shift ;;
    --host-config) host_config=yes ;;
    --stand-in) stand_in=yes ;;
    --no-cache) options+=(--no-cache) ;;
    operator | predictor) targets+=("$1") ;;
    *) sed -n '2,/^set/{/^# /s/^# //p}' "$0" >&2; exit 2 ;;
  esac
  shift
done
[ ${#targets[@]} -gt 0 ] || targets=(operator predictor)
command -v buildah >/dev/null || { echo "build-images: needs buildah; Debian has it" >&2; exit 1; }
export BUILDAH_ISOLATION=${BUILDAH_ISOLATION:-chroot}

work=$(mktemp -d)
server=''
trap 'rm -rf "$work"; [ -z "$server" ] || kill "$server"' EXIT

# The base, under its name but without its digest: a stand-in cannot have that.
base=$(sed -n 's/^ARG DEBIAN=//p' Dockerfile)
if [ -n "$stand_in" ]; then
  base=${base%@*}
  options+=(--build-arg "DEBIAN=$base" --pull-never)
  if ! buildah inspect --type image "docker.io/library/debian:$base" >/dev/null 2>&1; then
    scripts/make-stand-in.sh "$base" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
  fi
fi

if [ -n "$host_config" ]; then
  # One file of what pip would use here. Folders of this host are not there while building, so they are left out.
  python3 -m pip config list | sed -n "s/^[^.]*\.\(.*\)='\(.*\)'$/\1 = \2/p" |
    grep -E '^(index-url|extra-index-url|timeout|retries|trusted-host|proxy) = ' | grep -v 'file://' >"$work/lines" || true
  { echo '[global]'; cat "$work/lines"; echo 'cert = /etc/ssl/certs/ca-certificates.crt'; } >"$work/pip.conf"
  options+=(--secret "id=pip_conf,src=$work/pip.conf")
  options+=(--secret "id=certificates,src=/etc/ssl/certs/ca-certificates.crt")
  if [ -f /etc/apt/sources.list.d/debian.sources ]; then
    options+=(--secret "id=apt_sources,src=/etc/apt/sources.list.d/debian.sources")
  fi
fi

if [ -n "$torch_wheels" ]; then
  compgen -G "$torch_wheels/torch-*.whl" >/dev/null || { echo "build-images: no torch-*.whl in $torch_wheels" >&2; exit 1; }
  mkdir -p "$work/index/torch"
  ln -s "$torch_wheels"/torch-*.whl "$work/index/torch/"
  python3 -u -m http.server --bind 127.0.0.1 --directory "$work/index" 0 >"$work/server" 2>/dev/null &
  server=$!
  until port=$(sed -n 's/.* port \([0-9]*\) .*/\1/p' "$work/server") && [ -n "$port" ]; do sleep 0.1; done
  torch_index=http://127.0.0.1:$port/
fi

time=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
revision=$(git rev-parse HEAD)
[ -z "$(git status --porcelain)" ] || revision=$revision-changed
for target in "${targets[@]}"; do
  image=$name/$target:$tag
  if [ "$target" = predictor ]; then
    [ "$torch" = cpu ] || image=$image-$torch
    options+=(--build-arg "TORCH=$torch" --build-arg "TORCH_INDEX_URL=$torch_index")
  fi
  # Docker's format knows health checks; OCI's does not.
  buildah build --format docker --layers --timestamp "$time" --target "$target" --tag "$image" \
    --build-arg "VERSION=$tag" --build-arg "REVISION=$revision" \
    --build-arg "CREATED=$(date -u -d "@$time" +%Y-%m-%dT%H:%M:%SZ)" "${options[@]}" .
  if [ -n "$archive" ]; then
    rm -f "$archive/${name##*/}-$target.tar"
    buildah push --format oci --quiet "$image" "oci-archive:$archive/${name##*/}-$target.tar:$tag"
  fi
  echo "built $image"
done
