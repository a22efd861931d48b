#!/usr/bin/env bash
# Builds the libraries that Debian has no mingw-w64 package of, from its source packages and headers, as static
# ones: cmocka, zstd, xxhash. They come with pkg-config files, in a directory that later runs find ready.
#
# usage: cross_deps.sh PREFIX COMPILER AR
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh
[ $# -eq 3 ] || die "usage: cross_deps.sh PREFIX COMPILER AR"
prefix=$1 cc=$2 ar=$3
[ ! -e "$prefix/complete" ] || exit 0
mkdir -p "$prefix/lib/pkgconfig" "$prefix/include" "$prefix/src"
prefix=$(cd "$prefix" && pwd)

# An index of source packages of our own: the machine's list of sources stays as it is.
sources=$prefix/src/apt
apt_source() {
    apt-get -q -o Dir::Etc::SourceList="$sources/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o Dir::State::Lists="$sources/lists" -o APT::Sandbox::User=root "$@"
}

# The mirror that the binary package PACKAGE would come from: "URI SUITE COMPONENT".
mirror_of() {
    apt-cache madison "$1" | awk -F'|' '$3 ~ /Packages/ { split($3, w, " "); sub("/", " ", w[2]); print w[1], w[2]; exit }'
}

# fetch NAME BINARY: unpacks the source package NAME, of the version of BINARY, into src/NAME.
fetch() {
    local name=$1
    (cd "$prefix/src" && quietly apt_source source --download-only "$name") || die "cannot fetch the source of $name"
    rm -rf "${prefix:?}/src/$name"
    mkdir "$prefix/src/$name"
    tar -C "$prefix/src/$name" --strip-components=1 -xf "$(ls "$prefix/src/$name"_*.orig.tar.*[!c])"
}

# library NAME VERSION OBJECT...: the archive and its pkg-config file.
library() {
    local name=$1 version=$2
    shift 2
    rm -f "$prefix/lib/lib${name#lib}.a"
    "$ar" rcs "$prefix/lib/lib${name#lib}.a" "$@"
    printf 'Name: %s\nDescription: static, for cross-building\nVersion: %s\nLibs: -L%s -l%s\nCflags: -I%s\n' \
        "$name" "$version" "$prefix/lib" "${name#lib}" "$prefix/include" >"$prefix/lib/pkgconfig/$name.pc"
}

version_of() { # SOURCE: the upstream version that was fetched
    basename "$(ls "$prefix/src/$1"_*.dsc)" .dsc | sed 's/^[^_]*_//; s/[+-].*//'
}

mkdir -p "$sources/lists/partial"
read -r uri suite component <<<"$(mirror_of libcmocka-dev)"
[ -n "$component" ] || die "apt knows no mirror of Debian's main archive"
echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri $suite $component" >"$sources/sources.list"
quietly apt_source update || die "cannot read the index of source packages"

fetch cmocka
printf '#define %s 1\n' HAVE_ASSERT_H HAVE_INTTYPES_H HAVE_IO_H HAVE_MALLOC_H HAVE_MEMORY_H HAVE_SETJMP_H HAVE_SIGNAL_H \
    HAVE_STDARG_H HAVE_STDDEF_H HAVE_STDINT_H HAVE_STDIO_H HAVE_STDLIB_H HAVE_STRINGS_H HAVE_STRING_H \
    HAVE_SYS_STAT_H HAVE_SYS_TYPES_H HAVE_TIME_H HAVE_STRUCT_TIMESPEC \
    HAVE_CALLOC HAVE_EXIT HAVE_FPRINTF HAVE_FREE HAVE_LONGJMP HAVE_MALLOC HAVE_MEMCPY HAVE_MEMSET HAVE_PRINTF \
    HAVE_SETJMP HAVE_SIGNAL HAVE_SNPRINTF HAVE_STRCMP HAVE_VSNPRINTF >"$prefix/src/cmocka/config.h"
cp "$prefix"/src/cmocka/include/cmocka*.h "$prefix/include/"
# Compilers check its formats as those of the printf that is used, which is not msvcrt's.
sed -i 's/(__printf__, a, b)/(__MINGW_PRINTF_FORMAT, a, b)/; 1i #include <stdio.h>' "$prefix/include/cmocka.h"
# shellcheck disable=SC2086  # a compiler may be several words
$cc -O2 -w -D__USE_MINGW_ANSI_STDIO=1 -DHAVE_CONFIG_H -I"$prefix/src/cmocka" -I"$prefix/include" \
    -c "$prefix/src/cmocka/src/cmocka.c" -o "$prefix/src/cmocka.o"
library cmocka "$(version_of cmocka)" "$prefix/src/cmocka.o"

cp /usr/include/xxhash.h "$prefix/include/"
printf '#define XXH_STATIC_LINKING_ONLY\n#define XXH_IMPLEMENTATION\n#include "xxhash.h"\n' >"$prefix/src/xxhash.c"
# shellcheck disable=SC2086
$cc -O3 -I"$prefix/include" -c "$prefix/src/xxhash.c" -o "$prefix/src/xxhash.o"
library libxxhash "$(dpkg-query -W -f='${Version}' libxxhash-dev | sed 's/-.*//')" "$prefix/src/xxhash.o"

fetch libzstd
cp "$prefix"/src/libzstd/lib/{zstd,zstd_errors,zdict}.h "$prefix/include/"
objects=()
for source in "$prefix"/src/libzstd/lib/{common,compress,decompress}/*.c; do
    object=$prefix/src/zstd_$(basename "$source" .c).o
    # shellcheck disable=SC2086
    $cc -O3 -w -DZSTD_DISABLE_ASM -c "$source" -o "$object"
    objects+=("$object")
done
library libzstd "$(version_of libzstd)" "${objects[@]}"
touch "$prefix/complete"
