#!/bin/sh
# Compiles the recurrence for the processors it is worth it on, beside the package's sources, where the wheel's build
# takes it from (see `artifacts` in pyproject.toml). Without it, or on another processor, PyTorch does the same.
set -eu
cd "$(dirname "$0")/../predictor/tidecast_predictor/native"
[ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] || { echo "only for Linux on x86-64" >&2; exit 1; }
rm -f librecurrence-*.so  # one that was compiled from other sources would be called wrongly
for level in v3 v4; do
    "${CXX:-g++}" -O3 -march=x86-64-$level -ffp-contract=fast -fno-math-errno -fno-trapping-math -std=c++17 \
        -Wall -Wno-psabi -shared -fPIC -pthread -static-libstdc++ -static-libgcc \
        recurrence.cpp training.cpp -o librecurrence-x86-64-$level.so
done
