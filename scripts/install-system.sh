#!/usr/bin/env bash
# Installs what the tests and the demo need from Debian's own archive: etcd, Prometheus with promtool,
# kubectl, and a Go toolchain for building the Kubernetes control plane. Needs root, or sudo without a password.
# Says nothing and exits 0 when everything is already there; does nothing on a host that is not a Debian.
set -euo pipefail

declare -A package_of=(
  [etcd]=etcd-server [prometheus]=prometheus [promtool]=prometheus [kubectl]=kubernetes-client
  [go]=golang-go [rsync]=rsync [jq]=jq [make]=make [gcc]=gcc [dpkg-source]=dpkg-dev
)
wanted=()
for tool in "${!package_of[@]}"; do
  command -v "$tool" >/dev/null 2>&1 || wanted+=("${package_of[$tool]}")
done
python3 -c 'import ensurepip, venv' 2>/dev/null || wanted+=(python3-venv)
# What the vendored reflect2 of Kubernetes 1.20 is replaced with; see build-control-plane.sh.
[ -d /usr/share/gocode/src/github.com/modern-go/reflect2 ] || wanted+=(golang-github-modern-go-reflect2-dev)
[ "${#wanted[@]}" -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
  echo "install-system: not a Debian host; please install by hand: ${wanted[*]}" >&2
  exit 1
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  sudo -n true 2>/dev/null || { echo "install-system: needs root for: apt-get install ${wanted[*]}" >&2; exit 1; }
  as_root=(sudo -n)
fi
mapfile -t wanted < <(printf '%s\n' "${wanted[@]}" | sort -u)
echo "install-system: installing ${wanted[*]}"
"${as_root[@]}" apt-get update -qq
# A service that a package starts by itself would sit on the ports; the tests start their own on free ones.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
  "${as_root[@]}" chmod +x "$policy"
  trap '"${as_root[@]}" rm -f "$policy"' EXIT
fi
DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -qq --no-install-recommends -y "${wanted[@]}" >/dev/null
