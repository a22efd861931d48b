# shellcheck shell=bash
# Shared by the scripts of this folder; sourced, not run.

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# Debian's meson starts Debian's python3 by its full name, whatever python3 comes first in PATH.
meson=meson
[ ! -x /usr/bin/meson ] || meson=/usr/bin/meson

# quietly LOG COMMAND...: its output goes to LOG, and is shown when it fails.
quietly() {
    local log=$1
    shift
    "$@" >"$log" 2>&1 </dev/null && return 0
    cat "$log" >&2
    return 1
}

# configure DIR OPTION...: a build directory with these options, new or not.
configure() {
    local dir=$1
    shift
    mkdir -p "$dir"
    if [ ! -e "$dir/build.ninja" ]; then
        quietly "$dir/setup.log" "$meson" setup "$dir" "$@"
    else
        "$meson" setup --reconfigure "$dir" "$@" >"$dir/setup.log" 2>&1 </dev/null ||
            quietly "$dir/setup.log" "$meson" setup --wipe "$dir" "$@"
    fi
}

build() {
    quietly "$1/build.log" ninja -C "$1" -j "$(nproc)"
}
