#!/usr/bin/env bash
# Everything that the CI runs: builds in several configurations, runs their tests, checks scripts and
# style, runs the lab, and prints one table. Exit code 0 only when nothing failed and nothing was skipped
# that tests/allowed-skips.txt does not name.
#
# usage: test.sh [--quick|--full]
#   --quick   one configuration (gcc) instead of all
#   --full    and the emulated machines of the lab, all of its sizes, and the largest tree to Windows
set -euo pipefail

case ${1:-} in
'' | --quick | --full) ;;
-h | --help)
    sed -n '2,/^set/{s/^# \{0,1\}//p}' "$0"
    exit 0
    ;;
*)
    echo "test.sh: '$1' is not known; see --help" >&2
    exit 1
    ;;
esac
mode=${1:-}

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh
scripts/setup.sh test

# A checkout that another user owns (usual in containers) is still ours to list.
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0="$PWD"
export ASAN_OPTIONS=halt_on_error=1:abort_on_error=1:detect_stack_use_after_return=1
export UBSAN_OPTIONS=halt_on_error=1:abort_on_error=1:print_stacktrace=1
export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1

# Tests of whole programs mostly wait for them.
export MESON_TESTTHREADS=$((2 * $(nproc)))

mkdir -p build-ci-results
results=build-ci-results/steps.tsv
: >"$results"
logs=()

# result CONFIGURATION SUITE/TEST OK|FAIL: one line for the table, of what meson does not run.
result() {
    printf '%s\t%s\t%s\n' "$@" >>"$results"
}

step() { # STEP NAME COMMAND...: a check of the tree itself
    local name=$1
    shift
    echo "== $name"
    if "$@" </dev/null; then result tree "style/$name" OK; else result tree "style/$name" FAIL; fi
}

# configuration NAME "MESON TEST ARGUMENTS" COMPILER OPTION...
configuration() {
    local name=$1 tests=$2 compiler=$3 dir=build-ci-$1 log=build-ci-$1/meson-logs/testlog.json
    shift 3
    echo "== $name"
    if CC=$compiler configure "$dir" -Dtests=enabled "$@" && build "$dir"; then
        result "$name" build/build OK
    else
        result "$name" build/build FAIL
        return
    fi
    rm -f "$log"
    logs+=("$name=$log")
    # shellcheck disable=SC2086  # several words on purpose
    "${fixed_addresses[@]}" "$(meson_path)" test -C "$dir" --no-rebuild --print-errorlogs $tests </dev/null || true
}

# lab TARGET [PART]: PART is as LAB_PART of lab.sh.
lab() {
    local name=$1${2:+-${2%/*}} code=0
    LAB_PART=${2:-1/1} scripts/lab.sh "$1" </dev/null | tee "build-ci-results/lab-$name.tap" | sed -u "s/^/lab $name: /" ||
        code=$?
    case $code in
    0) result lab "lab/$name" OK ;;
    77) ;; # the TAP has the reason, for the summary to judge
    *) result lab "lab/$name" FAIL ;;
    esac
}

# The sanitizers of clang 14 do not know the address layout of kernels with 32 random bits.
fixed_addresses=()
use_fixed_addresses() {
    if setarch "$(uname -m)" -R true 2>/dev/null; then
        fixed_addresses=(setarch "$(uname -m)" -R)
    fi
}

mapfile -t shell_scripts < <(printf '%s\n' .ci/run scripts/*.sh && find tests -name '*.sh' | sort)
step shellcheck shellcheck -x -P SCRIPTDIR "${shell_scripts[@]}"
if [ "$mode" = --full ]; then step model scripts/model.sh; else step model scripts/model.sh --quick; fi

# The style suite looks at the tree alone, so that one configuration runs it for all.
configuration gcc '' gcc --werror -Dzstd=enabled
if [ "$mode" != --quick ]; then
    # The other compiler, and the build without zstd: what the whole programs do is seen in the other configurations.
    # The fuzz targets are built here, and run by hand (scripts/fuzz.sh).
    configuration clang '--suite unit --suite golden' clang --werror -Dzstd=enabled -Dfuzz=true
    configuration nozstd 'codec options unpack sessions_handshake sessions_states' gcc --werror -Dzstd=disabled
    use_fixed_addresses
    configuration asan '--no-suite style --timeout-multiplier 2' clang -Dzstd=enabled \
        -Db_sanitize=address,undefined -Db_lundef=false -Dc_args=-fsanitize=float-cast-overflow
    configuration tsan '--no-suite style --timeout-multiplier 2' clang -Dzstd=enabled \
        -Db_sanitize=thread -Db_lundef=false
    echo "== windows"
    [ "$mode" != --full ] || export HVFERRY_TEST_FULL=1
    if HVSEND_NATIVE=$PWD/build-ci-gcc/sender/hvsend HVRECV_NATIVE=$PWD/build-ci-gcc/receiver/hvrecv \
        scripts/test_win.sh build-ci-win64; then
        result windows build/build OK
        logs+=(windows=build-ci-win64/meson-logs/testlog.json)
    else
        result windows build/build FAIL
    fi
fi

echo "== torture"
# Which of its 47,000 points `fail` takes differs from run to run, and so what it finds: that is for --full.
torture_cases=(alloc bits diskfull flipper kill mutate powercut stream tsan)
[ "$mode" != --full ] || torture_cases=()
if TORTURE_BUILD=build-ci-gcc scripts/torture.sh --quick "${torture_cases[@]}"; then
    result tree torture/quick OK
else
    result tree torture/quick FAIL
fi

[ "$mode" = --full ] || export LAB_SIZES=small
# They mostly wait: for silence, for kernels to boot.
echo "== lab"
rm -f build-ci-results/lab-*.tap
lab loopback &
lab pair 1/2 &
lab pair 2/2 &
wait
if [ "$mode" = --full ]; then
    lab qemu
    lab nested
fi
for tap in build-ci-results/lab-*.tap; do
    logs+=("lab=$tap")
done

/usr/bin/python3 scripts/test_summary.py tests/allowed-skips.txt "$results" "${logs[@]}"
