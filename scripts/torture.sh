#!/usr/bin/env bash
# Torture: both programs are killed, their calls fail, their streams and disks break, over and over. Builds what is
# needed, runs the modules of tests/torture one after another, and prints one table of what was done and what failed.
#
# usage: torture.sh [--quick] [--seconds N | --runs N] [--jobs N] [--seed S] [CASE...]
#   --list       the names of the cases (default: all)
#   --quick      the bounded part that test.sh runs: always the same seed
#   --seconds N  for so long in all, which the cases share
#   --runs N     so many runs of each case
#   --jobs N     so many cases at once: many of them wait more than they work
#   --seed S     repeats a run with the same choices; without it, a new one, which is printed
# Environment: TORTURE_BUILD, a build directory that is up to date (default: build-torture, which is made).
# Exit code 1 when anything failed; each failure is printed with the command that repeats it.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh
if [ "${1:-}" = --help ] || [ "${1:-}" = -h ]; then
    sed -n '2,/^set/{s/^# \{0,1\}//p}' "$0"
    exit 0
fi

build=${TORTURE_BUILD:-build-torture}
if [ "${1:-}" != --list ]; then
    scripts/setup.sh test
    [ -n "${TORTURE_BUILD:-}" ] || configure "$build" -Dtests=enabled -Dzstd=enabled || die "the build failed"
    mapfile -t helpers < <(ninja -C "$build" -t targets all | sed -n 's!^\(tests/torture/[^/:]*\): [a-z_]*LINKER.*!\1!p')
    quietly ninja -C "$build" -j "$(nproc)" sender/hvsend receiver/hvrecv "${helpers[@]}" || die "the build failed"
    # Of gcc: its sanitizer is a library, so that failpoint.so can stand between a program and it.
    CC=gcc configure build-torture-asan -Dtests=disabled -Dzstd=enabled -Db_sanitize=address,undefined ||
        die "the build failed"
    build build-torture-asan || die "the build failed"
fi

export HVSEND=$PWD/$build/sender/hvsend HVRECV=$PWD/$build/receiver/hvrecv
export HVSEND_ASAN=$PWD/build-torture-asan/sender/hvsend HVRECV_ASAN=$PWD/build-torture-asan/receiver/hvrecv
export PYTHONDONTWRITEBYTECODE=1
exec /usr/bin/python3 scripts/torture.py "$@"
