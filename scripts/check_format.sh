#!/bin/sh
# Says which C files of the tree clang-format would change (style: .clang-format at the top).
# Exit code 1 when there are any, 77 (skipped) when it cannot be checked here.
set -eu

cd "$(dirname "$0")/.."
if ! command -v clang-format >/dev/null; then
    echo "skipped: clang-format is not installed"
    exit 77
fi
if ! git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
    echo "skipped: not a git tree, so the list of files is not known"
    exit 77
fi

# Tracked files, and new ones that are not ignored. One that is listed but was deleted is passed over. All go to one
# process: one for each takes long on a machine that is busy with other tests.
if ! said=$(git -c core.quotePath=false ls-files --cached --others --exclude-standard -- '*.c' '*.h' |
    while IFS= read -r file; do
        [ ! -e "$file" ] || printf '%s\0' "$file"
    done | xargs -0 clang-format --dry-run -Werror 2>&1); then
    echo "clang-format -i would change:"
    echo "$said" | sed -n 's/^\(.*\):[0-9]*:[0-9]*: error: .*/\1/p' | uniq
    echo "$said" | grep -F ': error: ' >/dev/null || echo "nothing known; it said: $said"
    exit 1
fi
