#!/usr/bin/env bash
# The lab: real AF_VSOCK between kernels that are booted for it, on a machine without KVM. Builds the programs, boots,
# runs the cases inside, prints TAP, and leaves nothing behind. docs/testing.md says what is real in each.
#
# usage: lab.sh TARGET [WORDS...]     WORDS choose the cases whose names hold them
#   loopback  one kernel of user-mode Linux that talks to itself, CID 1
#   pair      two of them and a switch, CID 2 and 42
#   qemu      one emulated machine with Debian's kernel
#   nested    an emulated host with vhost_vsock, and its guest
#   bench     measures in a pair, and prints Markdown
#   shell     [pair|loopback] a prompt: each line is run inside
# Environment: LAB_SIZES=small, less data in a pair; LAB_PART=K/N, only every Nth case, beginning with the Kth.
# Several may run at once.
# Exit code 0 when all passed, 77 when the machine lacks what the target needs.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh
target=${1:---help}
if [ "$target" = --help ] || [ "$target" = -h ]; then
    sed -n '2,/^set/{s/^# \{0,1\}//p}' "$0"
    exit 0
fi
shift
module=tests/lab/$target.py
case $target in
loopback | pair | qemu | nested | bench | shell) ;;
*) die "'$target' is no target; see --help" ;;
esac
if [ ! -e "$module" ]; then
    echo "1..0 # SKIP there is no $module"
    exit 77
fi

case $target in
qemu | nested) scripts/setup.sh lab-full ;;
*) scripts/setup.sh lab ;;
esac
# One of several runs builds, the others wait for it.
exec {lock}>build-lab.lock
flock "$lock"
# Static, so that the programs run in any kernel's root.
configure build-lab --buildtype=release -Dtests=enabled -Dzstd=enabled -Ddefault_library=static \
    -Dprefer_static=true -Dc_link_args=-static || die "the build failed"
programs=(sender/hvsend receiver/hvrecv tests/lab/vsw/vsw tests/lab/stream tests/lab/labtree)
quietly ninja -C build-lab -j "$(nproc)" "${programs[@]}" || die "the build failed"
exec {lock}>&-

export HVSEND=$PWD/build-lab/sender/hvsend HVRECV=$PWD/build-lab/receiver/hvrecv
export VSW=$PWD/build-lab/tests/lab/vsw/vsw LAB_STREAM=$PWD/build-lab/tests/lab/stream
export LABTREE=$PWD/build-lab/tests/lab/labtree
export PYTHONDONTWRITEBYTECODE=1
exec /usr/bin/python3 "$module" "$@"
