#!/bin/sh
# Takes out of a virtual environment what nothing loads at run time. An image that has it has more to pull and to scan.
# Usage: trim-packages.sh ENVIRONMENT
set -eu
packages=$(echo "$1"/lib/python3*/site-packages)
[ -d "$packages" ] || { echo "trim-packages: no site-packages in $1" >&2; exit 1; }
cd "$packages"

# Programs of packages, and those that enter and leave an environment in a shell.
find ../../../bin -mindepth 1 ! -name 'python*' -delete

# Tests of packages. What offers help to tests (numpy.testing, torch.testing) is imported at run time and stays.
find . -type d \( -name tests -o -path ./torch/test \) -prune -exec rm -rf {} +
# The second client in the `kubernetes` package: nothing in the first one, kopf or Tidecast imports it.
rm -rf kubernetes/aio
# For compiling against PyTorch; there is no compiler. The programs beside it are tests and protoc, but for one that
# hands memory from process to process.
rm -rf torch/include torch/share
[ ! -d torch/bin ] || find torch/bin -mindepth 1 -maxdepth 1 ! -name torch_shm_manager -exec rm -rf {} +
find . -name '*.a' -delete
# PyTorch names both as requirements, for compiling alone: kernels at run time, which needs a C compiler, and extensions.
rm -rf triton triton-*.dist-info
rm -rf setuptools setuptools-*.dist-info _distutils_hack distutils-precedence.pth pkg_resources
