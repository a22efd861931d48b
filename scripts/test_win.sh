#!/usr/bin/env bash
# Builds the programs for Windows, with gcc and once more with clang, and runs their tests under Wine. The log for
# test_summary.py is DIR/meson-logs/testlog.json. Exit code 0 only when both were built; the tests are in the log.
#
# usage: test_win.sh [DIR]      (default build-win64; DIR-clang and DIR-deps are made beside it)
#
# Environment: HVSEND_NATIVE, HVRECV_NATIVE, programs of this system to test against; HVFERRY_TEST_FULL=1, the large
# tree in both directions.
set -euo pipefail

case ${1:-} in
-h | --help)
    sed -n '2,/^set/{s/^# \{0,1\}//p}' "$0"
    exit 0
    ;;
esac
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh
dir=${1:-build-win64}
export CROSS_DEPS=${CROSS_DEPS:-$dir-deps}
scripts/cross_win.sh "$dir"
scripts/cross_win.sh --clang "$dir-clang"

# A prefix of our own, so that nobody's Wine is changed, and one server for all programs.
export WINEPREFIX=$PWD/$dir/wine WINEDEBUG=-all LC_ALL=C.UTF-8 WINEDLLOVERRIDES='mscoree,mshtml,winemenubuilder.exe='
[[ $dir != /* ]] || WINEPREFIX=$dir/wine
unset DISPLAY
mkdir -p "$WINEPREFIX"
trap 'wineserver -k || true' EXIT
wineserver -k </dev/null >/dev/null 2>&1 || true # of a run that was interrupted: a second one is refused
wineserver -p </dev/null >/dev/null 2>&1
# Whatever runs first starts services that live on: they must hold no pipe that somebody reads to its end.
if [ -e "$WINEPREFIX/ready" ]; then
    wine wineboot </dev/null >/dev/null 2>&1
else
    wine wineboot -i </dev/null >/dev/null 2>&1
    wine winecfg -v win10 </dev/null >/dev/null 2>&1
    # A service has 10 seconds to start, which a busy machine may take. It is read when the service manager starts.
    wine reg add 'HKLM\System\CurrentControlSet\Control' /v ServicesPipeTimeout /t REG_SZ /d 120000 /f \
        </dev/null >/dev/null 2>&1
    wineserver -k </dev/null >/dev/null 2>&1 || true
    wineserver -p </dev/null >/dev/null 2>&1
    wine wineboot </dev/null >/dev/null 2>&1
    touch "$WINEPREFIX/ready"
fi
rm -f "$dir/meson-logs/testlog.json"
"$(meson_path)" test -C "$dir" --no-rebuild --no-suite style --print-errorlogs </dev/null || true
