#!/usr/bin/env bash
# Measures hvferry beside its peers: rsync, tar, socat, zstd, cp, and a bare loop. Prints Markdown, writes JSON and SVG.
#
# usage: bench.sh [OPTION...] [CASE...]             cases: W1 to W13, crowd (default: all)
#        bench.sh [OPTION...] growth [CURVE...]     curves: size files link delay streams cores
#        bench.sh --from FILE                       reports once more what was measured
#   --help lists the options
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh
case " $* " in
*' --help '* | *' -h '*) ;;
*)
    scripts/setup.sh bench
    configure build-release --buildtype=release -Dtests=disabled || die "the build failed"
    build build-release all tests/bench/{bare,fill,spent} || die "the build failed"
    ;;
esac

# Root's mounts are seen by nobody else, and go when this ends, however it does.
own_mounts=()
if [ "$(id -u)" -eq 0 ] && unshare --mount true 2>/dev/null; then
    own_mounts=(unshare --mount --propagation private)
fi
PYTHONPATH=scripts exec "${own_mounts[@]}" /usr/bin/python3 -B -m bench "$@"
