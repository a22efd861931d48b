#!/usr/bin/env bash
# Builds the fuzz targets with clang's libFuzzer and runs them, one after another, from their corpora; prints a table of
# executions and findings.
#
# usage: fuzz.sh [--seconds N | --runs N] [--msan] [TARGET...]
#   --seconds N   so long for each target (60)
#   --runs N      so many executions of each target
#   --msan        MemorySanitizer instead of AddressSanitizer and UndefinedBehaviorSanitizer
# New inputs are kept in build-fuzz*/new/TARGET for the next run, what was found in build-fuzz*/found. Exit code 1 when
# anything was.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

limit=-max_total_time=60 dir=build-fuzz sanitizer=address,undefined targets=()
while [ $# -gt 0 ]; do
    case $1 in
    --seconds | --runs)
        [[ ${2:-} =~ ^[0-9]+$ ]] || die "$1 needs a number; see --help"
        if [ "$1" = --runs ]; then limit=-runs=$2; else limit=-max_total_time=$2; fi
        shift
        ;;
    # xxhash is compiled inline and so instrumented; zlib and zstd are not, see tests/fuzz/msan.
    --msan) dir=build-fuzz-msan sanitizer=memory ;;
    -h | --help)
        sed -n '2,/^set/{s/^# \{0,1\}//p}' "$0"
        exit 0
        ;;
    -*) die "'$1' is not known; see --help" ;;
    *) targets+=("$1") ;;
    esac
    shift
done

[ ${#targets[@]} -gt 0 ] || targets=(frame msg name inflate handshake receiver sender session)
CC=clang configure "$dir" -Dtests=enabled -Dfuzz=true -Dfuzz_sanitizer="$sanitizer"
quietly ninja -C "$dir" -j "$(nproc)" "${targets[@]/#/tests/fuzz/fuzz_}"
mkdir -p "$dir/found"
export ASAN_OPTIONS=quarantine_size_mb=16:malloc_context_size=8:detect_stack_use_after_return=0

most_bytes() { # TARGET
    case $1 in
    session) echo 128 ;;
    handshake | inflate | name) echo 512 ;;
    frame) echo 1024 ;;
    receiver | sender) echo 2048 ;;
    *) echo 4096 ;;
    esac
}

code=0
printf '| target | sanitizers | executions | per second | found |\n|---|---|---:|---:|---|\n'
for target in "${targets[@]}"; do
    log=$dir/found/$target.log found=none
    mkdir -p "$dir/new/$target"
    if ! "$dir/tests/fuzz/fuzz_$target" "$limit" -max_len="$(most_bytes "$target")" -timeout=60 -rss_limit_mb=1024 \
        -print_final_stats=1 -artifact_prefix="$dir/found/$target-" "$dir/new/$target" "tests/fuzz/corpus/$target" \
        >"$log" 2>&1 </dev/null; then
        found=$(grep -m 1 -E 'not so:|^SUMMARY' "$log" || echo "see $log")
        code=1
    fi
    printf '| %s | %s | %s | %s | %s |\n' "$target" "$sanitizer" \
        "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" \
        "$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")" "$found"
done
exit $code
