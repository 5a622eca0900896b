#!/usr/bin/env bash
# Installs programs from Debian's own archive. Needs root, or sudo without a password.
# Says nothing and exits 0 when everything is already there.
# Usage: install-system.sh [run] [build] [python]
#   run     what the tests and the demo start: etcd, Prometheus with promtool, kubectl; the default
#   build   what build-control-plane.sh compiles with
#   python  the half of Python's venv module that Debian packs separately
set -euo pipefail
[ $# -gt 0 ] || set -- run

# shellcheck disable=SC2034 # read through a name reference
declare -A package_of_run=(
  [etcd]=etcd-server [prometheus]=prometheus [promtool]=prometheus [kubectl]=kubernetes-client [openssl]=openssl
)
# shellcheck disable=SC2034
declare -A package_of_build=([go]=golang-go [rsync]=rsync [jq]=jq [make]=make [gcc]=gcc [dpkg-source]=dpkg-dev)
# What the vendored reflect2 of Kubernetes 1.20 is replaced with; see build-control-plane.sh.
reflect2=/usr/share/gocode/src/github.com/modern-go/reflect2

wanted=()
want_missing() {
  local -n package_of=$1
  local tool
  for tool in "${!package_of[@]}"; do
    # A folder of newer programs has its own etcd and kubectl.
    [ -x "${KUBEBUILDER_ASSETS:-/nowhere}/$tool" ] || command -v "$tool" >/dev/null 2>&1 || wanted+=("${package_of[$tool]}")
  done
}
for purpose in "$@"; do
  case $purpose in
    run) want_missing package_of_run ;;
    build)
      want_missing package_of_build
      [ -d $reflect2 ] || wanted+=(golang-github-modern-go-reflect2-dev)
      ;;
    python) python3 -c 'import ensurepip, venv' 2>/dev/null || wanted+=(python3-venv) ;;
    *) echo "install-system: run, build or python, not $purpose" >&2; exit 2 ;;
  esac
done
[ "${#wanted[@]}" -gt 0 ] || exit 0
mapfile -t wanted < <(printf '%s\n' "${wanted[@]}" | sort -u)

if ! command -v apt-get >/dev/null 2>&1; then
  echo "install-system: not a Debian host; please install by hand what these packages hold: ${wanted[*]}" >&2
  exit 1
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  sudo -n true 2>/dev/null || { echo "install-system: needs root for: apt-get install ${wanted[*]}" >&2; exit 1; }
  as_root=(sudo -n)
fi

# A service that a package starts by itself would sit on the ports; the tests start their own on free ones.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  trap '"${as_root[@]}" rm -f $policy' EXIT
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee $policy >/dev/null
  "${as_root[@]}" chmod +x $policy
fi
echo "install-system: installing ${wanted[*]}" >&2
log=$(mktemp)
{
  "${as_root[@]}" apt-get update -qq &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends -y "${wanted[@]}"
} >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
rm -f "$log"
