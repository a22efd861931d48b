#!/usr/bin/env bash
# Measures hvferry beside rsync and `tar | socat | tar`, and prints Markdown tables on stdout.
#
# usage: bench.sh [--quick] [--runs N] [CASE...]     cases: W1 W2 W7 W11 crowd memory (default: all)
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh
if [ "${1:-}" != --help ] && [ "${1:-}" != -h ]; then
    scripts/setup.sh bench
    configure build-release --buildtype=release -Dtests=disabled || die "the build failed"
    build build-release || die "the build failed"
fi
exec /usr/bin/python3 scripts/bench.py --build build-release "$@"
