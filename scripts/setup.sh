#!/usr/bin/env bash
# Installs the Debian packages that are missing. When none is, it does nothing: no network, no root.
#
# usage: setup.sh [build|run|bench|lab|lab-full|test|windows]
#   build  what compiling needs
#   run    and what run.sh needs to check its result
#   bench  and the programs that bench.sh compares with, and what it draws with
#   lab    what lab.sh needs to boot kernels
#   lab-full  and what its targets qemu and nested need; they download Debian's kernel themselves
#   test   and everything that the tests need (default)
#   windows  what building for Windows needs, and Wine, where its tests run
set -euo pipefail

group=${1:-test}
build=(gcc libc6-dev meson ninja-build pkg-config zlib1g-dev libxxhash-dev libzstd-dev libsodium-dev)
run=("${build[@]}" rsync)
peers=("${run[@]}" socat tar python3 git)
bench=("${peers[@]}" zstd iproute2 util-linux e2fsprogs python3-matplotlib)
lab=("${peers[@]}" libcmocka-dev user-mode-linux busybox-static iproute2 util-linux xxhash)
lab_full=("${lab[@]}" qemu-system-x86 lz4 xz-utils)
# a|b: either will do.
test=("${lab[@]}" clang 'libclang-rt-dev|libclang-rt-14-dev' clang-format
    python3-xxhash shellcheck spin strace zstd procps libsystemd-dev systemd e2fsprogs xfsprogs)
windows=(gcc meson ninja-build pkg-config libxxhash-dev gcc-mingw-w64-x86-64-win32 libz-mingw-w64-dev wine wine64 clang python3)

case $group in
build) wanted=("${build[@]}") ;;
run) wanted=("${run[@]}") ;;
bench) wanted=("${bench[@]}") ;;
lab) wanted=("${lab[@]}") ;;
lab-full) wanted=("${lab_full[@]}") ;;
test) wanted=("${test[@]}") ;;
windows) wanted=("${windows[@]}") ;;
-h | --help)
    sed -n '2,/^set/{s/^# \{0,1\}//p}' "$0"
    exit 0
    ;;
*)
    echo "setup.sh: '$group' is none of build, run, bench, lab, lab-full, test, windows" >&2
    exit 1
    ;;
esac

if ! command -v dpkg-query >/dev/null; then
    echo "setup.sh: not a Debian system, so nothing was checked. Needed (Debian's names): ${wanted[*]}" >&2
    exit 0
fi

IFS='|' read -ra names <<<"$(IFS='|' && echo "${wanted[*]}")"
# A package that is unknown makes dpkg-query fail; those that it lists are what counts.
installed=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' "${names[@]}" 2>/dev/null || true)

is_installed() {
    [[ $'\n'$installed$'\n' == *$'\ninstalled '"$1"$'\n'* ]]
}

missing=()
for choice in "${wanted[@]}"; do
    found=
    for name in ${choice//|/ }; do
        ! is_installed "$name" || found=yes
    done
    [ -n "$found" ] || missing+=("$choice")
done
[ ${#missing[@]} -gt 0 ] || exit 0

cannot() {
    echo "setup.sh: $1; missing packages: ${missing[*]}" >&2
    exit 1
}

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || cannot "neither root nor sudo"
    as_root=(sudo)
    [ -t 0 ] || as_root=(sudo -n) # nobody is there to type a password
fi
command -v apt-get >/dev/null || cannot "there is no apt-get"

echo "setup.sh: installing ${missing[*]}" >&2
"${as_root[@]}" apt-get -q update >&2 </dev/null || cannot "apt-get update failed"
chosen=()
for choice in "${missing[@]}"; do
    pick=${choice%%|*}
    for name in ${choice//|/ }; do
        if apt-cache show --no-all-versions "$name" >/dev/null 2>&1; then
            pick=$name
            break
        fi
    done
    chosen+=("$pick")
done
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get -q -y install --no-install-recommends "${chosen[@]}" >&2 </dev/null || cannot "apt-get install failed"
