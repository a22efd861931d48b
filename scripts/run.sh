#!/usr/bin/env bash
# The main job on real input: builds both programs, copies SRC to DEST through a Unix socket, and checks
# that the trees are equal.
#
# usage: run.sh [SRC... [DEST]]
#   no argument   /usr/share/doc and /usr/include go to a new temporary directory
#   SRC           goes to a new temporary directory
#   SRC... DEST   DEST is created if it is missing. As in rsync, `SRC/` means the contents of SRC.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$here/lib.sh"
build_dir=$here/../build-release

if [ "${1:-}" = --help ] || [ "${1:-}" = -h ]; then
    sed -n '2,/^set/{s/^# \{0,1\}//p}' "$0"
    exit 0
fi

receiver=
work=
cleanup() {
    if [ -n "$receiver" ] && kill "$receiver" 2>/dev/null; then
        wait "$receiver" 2>/dev/null || true
    fi
    [ -z "$work" ] || rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# ---- what goes where

dest=
if [ $# -eq 0 ]; then
    sources=(/usr/share/doc /usr/include)
elif [ $# -eq 1 ]; then
    sources=("$1")
else
    sources=("${@:1:$#-1}")
    dest=${*: -1}
fi
for src in "${sources[@]}"; do
    [ -e "$src" ] || die "$src: there is no such file or directory"
    if [ -n "$dest" ] && [[ $(realpath -m -- "$dest")/ == $(realpath -- "$src")/* ]]; then
        die "$dest lies inside $src"
    fi
done

"$here/setup.sh" run
(cd "$here/.." && configure build-release --buildtype=release -Dtests=disabled && build build-release) ||
    die "the build failed"

if [ -z "$dest" ]; then
    dest=$(mktemp -d -t hvferry-run.XXXXXX)
    remove_hint=" (rm -r $dest removes it)"
fi
# What DEST has already stays there, and is no difference.
delete=(--delete)
[ -z "$(ls -A -- "$dest" 2>/dev/null)" ] || delete=()

# ---- the copy

work=$(mktemp -d -t hvferry.XXXXXX)
socket=$work/s

is_listening() {
    [ -S "$socket" ] || return 1
    # Flags 00010000: the socket listens, and is not merely bound.
    [ ! -r /proc/net/unix ] || grep -q " 00010000 .* $socket\$" /proc/net/unix
}

"$build_dir/receiver/hvrecv" --once --stats --mkpath --listen "unix:$socket" -- "$dest" \
    >"$work/receiver.log" 2>&1 </dev/null &
receiver=$!
for ((tries = 0; tries < 200; tries++)); do
    ! is_listening || break
    if ! kill -0 "$receiver" 2>/dev/null; then
        cat "$work/receiver.log" >&2
        die "hvrecv ended before it listened"
    fi
    sleep 0.05
done
is_listening || die "hvrecv did not listen within 10 seconds"

progress=()
[ ! -t 2 ] || progress=(-P)
sent=0
"$build_dir/sender/hvsend" -a "${progress[@]}" --stats -- "${sources[@]}" "unix:$socket" || sent=$?
received=0
[ "$sent" -eq 0 ] || kill "$receiver" 2>/dev/null || true # it may still wait for a session
wait "$receiver" || received=$?
receiver=
if [ "$sent" -ne 0 ] || [ "$received" -ne 0 ]; then
    cat "$work/receiver.log" >&2
    die "the transfer failed: hvsend exited with $sent, hvrecv with $received"
fi

value() { # of the receiver's --stats
    sed -nE "s/.*$1.*/\\1/p" "$work/receiver.log" | head -n 1 | tr -d ,
}
awk -v files="$(value 'files: ([0-9]+) transferred')" -v same="$(value ' ([0-9]+) unchanged')" \
    -v bytes="$(value 'bytes: ([0-9,]+) in files')" -v seconds="$(value ' ([0-9.]+) seconds')" 'BEGIN {
    rate = seconds + 0 ? bytes / seconds / 1e6 : 0
    there = same + 0 ? " (" same " files were there already)" : ""
    printf "%d files, %.0f bytes in %.3f s: %.1f MB/s%s\n", files, bytes, seconds, rate, there
}'

# ---- the check

# hvferry copies neither owners, nor special files, nor set-id and sticky bits.
differs=$(for src in "${sources[@]}"; do
    rsync -anc "${delete[@]}" --itemize-changes --modify-window=-1 --no-o --no-g --no-D --info=nonreg0 \
        --chmod=u-s,g-s,o-t -- "$src" "$dest/" || exit 1
done) || die "the check with rsync failed"
if [ -n "$differs" ]; then
    head -n 20 <<<"$differs" >&2
    die "$(wc -l <<<"$differs") differences between ${sources[*]} and $dest (did the source change meanwhile?)"
fi
echo "equal: ${sources[*]} and the copy in $dest${remove_hint:-}"
