#!/usr/bin/env bash
# Checks the grammar of the PowerShell files: nothing here can run them. The parser comes from npm, once, into DIR; without
# npm or its registry the check is skipped (77).
#
# usage: check_powershell.sh [--self-test] [DIR]      (default build-powershell)
#   --self-test  a file with a mistake must be found to have one
set -euo pipefail

case ${1:-} in
-h | --help)
    sed -n '2,/^set/{s/^# \{0,1\}//p}' "$0"
    exit 0
    ;;
esac
self_test=
if [ "${1:-}" = --self-test ]; then
    self_test=yes
    shift
fi
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
dir=${1:-$top/build-powershell}
# What they import is not run at installation, and nothing is fetched later.
packages=(web-tree-sitter@0.27.2 tree-sitter-powershell@0.26.4)

skip() {
    echo "skipped: $1"
    exit 77
}

if [ ! -e "$dir/complete" ]; then
    if ! command -v npm >/dev/null || ! command -v node >/dev/null; then
        skip "there is no npm to get the parser of PowerShell with"
    fi
    mkdir -p "$dir"
    (cd "$dir" && timeout 120 npm install --no-save --no-audit --no-fund --ignore-scripts --prefix . "${packages[@]}") \
        >"$dir/npm.log" 2>&1 </dev/null || skip "npm cannot get the parser of PowerShell (see $dir/npm.log)"
    touch "$dir/complete"
fi

check() {
    node --liftoff-only "$top/scripts/check_powershell.mjs" "$dir" "$@"
}

if [ -n "$self_test" ]; then
    wrong=$dir/wrong.ps1
    printf 'function Send-It {\n    if (1 -eq 2 { Write-Output "x" }\n}\n' >"$wrong"
    if check "$wrong"; then exit 1; fi
else
    check "$top"/scripts/*.ps1 "$top"/scripts/*.psm1
fi
