# shellcheck shell=bash
# Shared by the scripts of this folder; sourced, not run.

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# Debian's meson starts Debian's python3 by its full name, whatever python3 comes first in PATH.
meson_path() {
    if [ -x /usr/bin/meson ]; then echo /usr/bin/meson; else echo meson; fi
}

# quietly COMMAND...: what it prints is shown only when it fails.
quietly() {
    local output
    output=$("$@" 2>&1 </dev/null) && return 0
    printf '%s\n' "$output" >&2
    return 1
}

# configure DIR OPTION...: a build directory with these options, new or not.
configure() {
    local dir=$1 meson
    shift
    meson=$(meson_path)
    if [ ! -e "$dir/build.ninja" ]; then
        quietly "$meson" setup "$dir" "$@"
    else
        "$meson" setup --reconfigure "$dir" "$@" >/dev/null 2>&1 </dev/null ||
            quietly "$meson" setup --wipe "$dir" "$@"
    fi
}

build() { # DIR [TARGET...]
    quietly ninja -C "$1" -j "$(nproc)" "${@:2}"
}
