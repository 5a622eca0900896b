#!/usr/bin/env bash
# Builds kube-apiserver and kube-controller-manager from Debian's source package `kubernetes` into a cache
# of the user's, for tests on real components. About 5 minutes on 2 cores; afterwards it finds the result
# and returns at once. Prints the folder. A newer control plane in KUBEBUILDER_ASSETS takes precedence in
# the tests, see tests/cluster/binaries.py.
set -euo pipefail

version=1.20.2
target=${TIDECAST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tidecast}/kubernetes-$version
if [ -x "$target/kube-apiserver" ] && [ -x "$target/kube-controller-manager" ]; then
  echo "$target"
  exit 0
fi
here=$(cd "$(dirname "$0")" && pwd)
"$here/install-system.sh" >&2

work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
say() { echo "build-control-plane: $*" >&2; }

# Hosts often list only binary packages: a twin of each Debian source with deb-src, kept out of the system's lists.
say "fetching the source package"
sources=$work/sources.list
{
  for file in /etc/apt/sources.list.d/*.sources; do
    [ -e "$file" ] || continue
    sed -n 's/^URIs: *//p' "$file" | head -n 1 | grep -q debian || continue
    paste -d' ' <(echo deb-src) <(sed -n 's/^URIs: *//p' "$file" | head -n 1) | sed 's/$/ bookworm main/'
  done
  grep -hE '^deb ' /etc/apt/sources.list 2>/dev/null | sed 's/^deb /deb-src /' || true
} | grep -v security | sort -u >"$sources"
[ -s "$sources" ] || { say "no Debian archive in /etc/apt"; exit 1; }
mkdir -p "$work/lists/partial"
apt_options=(-o Dir::Etc::sourcelist="$sources" -o Dir::Etc::sourceparts=/dev/null
  -o Dir::State::lists="$work/lists" -o APT::Sandbox::User=root)
apt-get "${apt_options[@]}" -qq update
(cd "$work" && apt-get "${apt_options[@]}" -qq source --only-source kubernetes >/dev/null)
cd "$work"/kubernetes-*"$version"  # Debian numbers it 1.20.5+really1.20.2

# The vendored reflect2 crashes when it is built with Go 1.18 or newer; Debian ships one that does not.
rm -rf vendor/github.com/modern-go/reflect2
cp -rL /usr/share/gocode/src/github.com/modern-go/reflect2 vendor/github.com/modern-go/reflect2

say "compiling, about 5 minutes on 2 cores"
export HOME=$work/home GOCACHE=$work/go-cache GOFLAGS=-mod=vendor
mkdir -p "$HOME"
make -s WHAT='cmd/kube-apiserver cmd/kube-controller-manager' FORCE_HOST_GO=y \
  KUBE_GIT_VERSION=v$version KUBE_GIT_TREE_STATE=clean KUBE_GIT_COMMIT=x GOLDFLAGS='-s -w' >&2

mkdir -p "$target.partial"
cp _output/local/bin/linux/*/kube-apiserver _output/local/bin/linux/*/kube-controller-manager "$target.partial/"
mkdir -p "$(dirname "$target")"
rm -rf "$target"
mv "$target.partial" "$target"
echo "$target"
