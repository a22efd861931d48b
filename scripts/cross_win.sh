#!/usr/bin/env bash
# Builds hvsend.exe and hvrecv.exe for Windows with mingw-w64, in DIR, outside of the sources' way.
#
# usage: cross_win.sh [--clang] [DIR]      (default build-win64)
#   --clang  the same with clang for the same target
#
# Environment: CROSS_DEPS, where the libraries are built once (default DIR-deps).
set -euo pipefail

case ${1:-} in
-h | --help)
    sed -n '2,/^set/{s/^# \{0,1\}//p}' "$0"
    exit 0
    ;;
esac
family=gcc
if [ "${1:-}" = --clang ]; then
    family=clang
    shift
fi
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh
dir=${1:-build-win64}
deps=${CROSS_DEPS:-$dir-deps}
scripts/setup.sh windows

target=x86_64-w64-mingw32
scripts/cross_deps.sh "$deps" "$target-gcc-win32" "$target-gcc-ar-win32"
deps=$(cd "$deps" && pwd)
libgcc=$(dirname "$("$target-gcc-win32" -print-libgcc-file-name)") # clang does not find it by itself
printf "[built-in options]\nc_link_args = ['-static', '-static-libgcc', '-L%s']\n" "$libgcc" >"$deps/libraries.ini"
printf "[properties]\npkg_config_libdir = ['%s/lib/pkgconfig', '/usr/%s/lib/pkgconfig']\n" "$deps" "$target" \
    >>"$deps/libraries.ini"

configure "$dir" --cross-file "cross/win64-$family.ini" --cross-file "$deps/libraries.ini" --werror --buildtype release \
    -Db_ndebug=false -Dzstd=enabled -Dtests=enabled
build "$dir"
