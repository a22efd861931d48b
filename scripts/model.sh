#!/usr/bin/env bash
# Checks tests/model/session.pml and lanes.pml (a session over several streams) with spin, exhaustively: every order of
# events within the bounds below. Then the same models with a deliberate mistake in them, one after another, each of which
# must be found.
#
# usage: model.sh [--quick]
#   --quick   one break instead of two, and no third stream
# Exit code 0 when the model holds and all mistakes were found, 1 when not, 77 when spin is not there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

case ${1:-} in
'' | --quick) ;;
-h | --help)
    sed -n '2,/^set/{s/^# \{0,1\}//p}' "$0"
    exit 0
    ;;
*) die "'$1' is not known; see --help" ;;
esac
if ! command -v spin >/dev/null || ! command -v gcc >/dev/null; then
    echo "skipped: spin (Debian's package of that name) or gcc is not installed"
    exit 77
fi

models=$PWD/tests/model
memory_mib=3500 # the checker gives up, and fails, beyond it
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# check LEVEL NAME FLAG...: builds the checker, at that level of optimization, and runs it in its own directory; sets
# `errors`, `states`, `complete`. A name that begins with lanes is of that model, the others are of session.
check() {
    local level=$1 name=$2 model=$models/session.pml options=(-DSAFETY)
    [[ $name != lanes* ]] || model=$models/lanes.pml
    shift 2
    mkdir "$work/$name"
    cd "$work/$name"
    quietly spin -a "$@" "$model"
    if [[ $name = *circles ]]; then options=(-DNP -DNOFAIR); fi
    quietly gcc "$level" "${options[@]}" -DCOLLAPSE -DMEMLIM=$memory_mib -o pan pan.c
    if [[ $name = *circles ]]; then ./pan -l -m100000 >out 2>&1 || true; else ./pan -m100000 >out 2>&1 || true; fi
    errors=$(sed -n 's/.*errors: \([0-9]*\).*/\1/p' out)
    states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' out)
    states=${states:-?}
    complete=yes
    ! grep -qE 'Search not completed|out of memory|max search depth' out || complete=no
    cd - >/dev/null
}

holds() { # NAME FLAG...
    local start=$SECONDS
    check -O1 "$@"
    local verdict=holds
    if [ "${errors:-1}" != 0 ] || [ "$complete" != yes ]; then
        verdict="FAILS: $(grep -m 1 '^pan:1' "$work/$1/out" || tail -1 "$work/$1/out")"
        failed=1
    fi
    printf '%-20s %-46s %10s states %4d s  %s\n' "$1" "${*:2}" "$states" $((SECONDS - start)) "$verdict"
}

# finds NAME FLAG...: the checker must find an error, which takes it less time than being optimized.
finds() {
    check -O0 "$@"
    local verdict
    verdict="found: $(sed -n 's/^pan:1: //p' "$work/$1/out" | head -1)"
    if [ "${errors:-0}" = 0 ]; then
        verdict='FAILS: the mistake was not found'
        failed=1
    fi
    printf '%-20s %-46s %10s states         %s\n' "$1" "${*:2}" "$states" "$verdict"
}

holds plain -DBREAKS=1 -DFLIPS=1
holds wider -DBREAKS=1 -DFLIPS=1 -DWINDOW=3
holds receiver-dials -DBREAKS=1 -DFLIPS=1 -DRECEIVER_DIALS
holds grace -DBREAKS=1 -DFLIPS=1 -DGRACE
holds grace-dials -DBREAKS=1 -DFLIPS=1 -DGRACE -DRECEIVER_DIALS
holds crash -DBREAKS=0 -DFLIPS=1 -DCRASH
holds circles -DBREAKS=1 -DFLIPS=1
if [ "${1:-}" != --quick ]; then
    holds two-breaks -DBREAKS=2 -DFLIPS=0
    holds two-dials -DBREAKS=2 -DFLIPS=0 -DRECEIVER_DIALS
fi
holds lanes -DFLIPS=1
holds lanes-dials -DFLIPS=1 -DRECEIVER_DIALS
holds lanes-circles
if [ "${1:-}" != --quick ]; then
    holds lanes-three -DLANES=2 -DJOINS=3 -DWINDOW=3 -DCHUNKS=4
    holds lanes-two-breaks -DBREAKS=2
fi

finds ack-before-flush -DBREAKS=0 -DFLIPS=0 -DBUG_ACK_BEFORE_FLUSH
finds no-finish-ack -DBREAKS=0 -DFLIPS=0 -DBUG_NO_FINISH_ACK
finds flight-forgotten -DBREAKS=1 -DFLIPS=0 -DBUG_FLIGHT_FORGOTTEN
finds arrived-counts -DBREAKS=1 -DFLIPS=0 -DBUG_COUNTS_WHAT_ARRIVED
finds cost-kept -DBREAKS=1 -DFLIPS=0 -DBUG_COST_KEPT
finds bundle-again -DBREAKS=1 -DFLIPS=0 -DBUG_BUNDLE_SENT_AGAIN
finds refused-kept -DBREAKS=1 -DFLIPS=1 -DBUG_REFUSED_KEPT
finds finished-is-new -DBREAKS=1 -DFLIPS=0 -DRECEIVER_DIALS -DBUG_FINISHED_IS_NEW
finds lanes-joined-broken -DBUG_JOINED_WHILE_BROKEN
finds lanes-not-awaited -DBUG_LANE_NOT_AWAITED
finds lanes-held-kept -DBUG_HELD_KEPT
finds lanes-sequencer-kept -DBUG_SEQUENCER_KEPT
finds lanes-not-in-flight -DBUG_LANE_NOT_IN_FLIGHT
finds lanes-break-alone -DBUG_LANE_BREAKS_ALONE
finds lanes-credit-each -DBREAKS=0 -DBUG_CREDIT_PER_LANE
finds lanes-no-sequencer -DBREAKS=0 -DBUG_NO_SEQUENCER
finds lanes-closed-early -DBREAKS=0 -DBUG_LANES_CLOSED_EARLY
finds lanes-join-dropped -DBREAKS=0 -DBUG_JOINING_DROPPED
exit $failed
