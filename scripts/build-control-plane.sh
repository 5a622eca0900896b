#!/usr/bin/env bash
# Builds kube-apiserver and kube-controller-manager from Debian's source package `kubernetes` into a cache of the
# user's, for tests on real components: about 5 minutes on 2 cores, once. Afterwards, or where KUBEBUILDER_ASSETS
# names a folder with a newer kube-apiserver, it returns at once. Prints the folder.
set -euo pipefail

if [ -x "${KUBEBUILDER_ASSETS:-/nowhere}/kube-apiserver" ]; then
  echo "$KUBEBUILDER_ASSETS"
  exit 0
fi
version=1.20.2
target=${TIDECAST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tidecast}/kubernetes-$version
is_built() { [ -x "$target/kube-apiserver" ] && [ -x "$target/kube-controller-manager" ]; }
if is_built; then
  echo "$target"
  exit 0
fi
say() { echo "build-control-plane: $*" >&2; }

# Two checkouts may ask for it at the same time; the second waits and finds it built.
mkdir -p "$(dirname "$target")"
exec 9>"$target.lock"
flock 9
if is_built; then
  echo "$target"
  exit 0
fi

here=$(cd "$(dirname "$0")" && pwd)
"$here/install-system.sh" build
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT

# Hosts often list only binary packages: a twin of each Debian source with deb-src, kept out of the system's lists.
say "fetching the source package"
sources=$work/sources.list
{
  for file in /etc/apt/sources.list.d/*.sources; do
    [ -e "$file" ] || continue
    sed -n 's/^URIs: *//p' "$file" | tr ' ' '\n' | grep debian || true
  done
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [ -e "$file" ] || continue
    sed -nE 's/^deb +(\[[^]]*\] +)?([^ ]+).*/\2/p' "$file" | grep debian || true
  done
} | grep -v security | sort -u | sed 's/.*/deb-src & bookworm main/' >"$sources"
[ -s "$sources" ] || { say "no Debian archive in /etc/apt"; exit 1; }
mkdir -p "$work/lists/partial"
apt_options=(-o Dir::Etc::sourcelist="$sources" -o Dir::Etc::sourceparts=/dev/null
  -o Dir::State::lists="$work/lists" -o APT::Sandbox::User=root)
apt-get "${apt_options[@]}" -qq update
(cd "$work" && apt-get "${apt_options[@]}" -qq source --only-source kubernetes >"$work/log" 2>&1) ||
  { cat "$work/log" >&2; exit 1; }
cd "$work"/kubernetes-*"$version" # Debian numbers it 1.20.5+really1.20.2

# The vendored reflect2 crashes when it is built with Go 1.18 or newer; Debian ships one that does not.
rm -rf vendor/github.com/modern-go/reflect2
cp -rL /usr/share/gocode/src/github.com/modern-go/reflect2 vendor/github.com/modern-go/reflect2

say "compiling, about 5 minutes on 2 cores, once"
export HOME=$work/home GOCACHE=$work/go-cache GOFLAGS=-mod=vendor
mkdir -p "$HOME"
make -s WHAT='cmd/kube-apiserver cmd/kube-controller-manager' FORCE_HOST_GO=y KUBE_GIT_VERSION=v$version \
  KUBE_GIT_TREE_STATE=clean KUBE_GIT_COMMIT=x GOLDFLAGS='-s -w' >"$work/log" 2>&1 || { tail -n 50 "$work/log" >&2; exit 1; }

rm -rf "$target.partial" "$target"
mkdir "$target.partial"
cp _output/local/bin/linux/*/kube-apiserver _output/local/bin/linux/*/kube-controller-manager "$target.partial/"
mv "$target.partial" "$target"
echo "$target"
