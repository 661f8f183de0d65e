#!/bin/bash
# Everything that can be tested on one machine, from a fresh clone on: builds with gcc, clang, the sanitizers and
# MPICH, the whole of `make check` in the first and a smoke set in the others, a training under valgrind, Keras on
# the files that kpar writes, `make distcheck`. The last line sums up.
. "$(dirname "$0")/common.sh"
work=$top/build/test
passed=0 failed=0 skipped=0
failures=()

test_packages="check clang valgrind mpich libmpich-dev python3-venv binutils procps xz-utils"

# count RESULT NAME [REASON]: one test that is none of automake's.
count() {
    case $1 in
    pass) passed=$((passed + 1)) ;;
    skip) skipped=$((skipped + 1)) ;;
    fail) failed=$((failed + 1)) failures+=("$2") ;;
    esac
    printf '%-5s %s%s\n' "$1" "$2" "${3:+: $3}"
}

# step NAME COMMAND...: a test that passes when the command does; its output is shown when it fails.
step() {
    local name=$1 log=$work/step.log
    shift
    if "$@" >"$log" 2>&1; then count pass "$name"; else count fail "$name" && tail -n 40 "$log"; fi
}

# check NAME FOLDER ARGUMENT...: `make check` there, tests side by side: many wait for mpirun more than they compute. Counts
# the result of each.
check() {
    local name=$1 folder=$2 result trs
    shift 2
    find "$folder" -name '*.trs' -delete
    make -C "$folder" -j"$cores" check ${PYTHON:+PYTHON="$PYTHON"} "$@" >"$folder/check.log" 2>&1 || true
    grep -E '^(FAIL|ERROR):' "$folder/check.log" || true
    while read -r trs; do
        result=$(sed -n 's/^:global-test-result: //p' "$trs")
        case $result in
        PASS) passed=$((passed + 1)) ;;
        SKIP) skipped=$((skipped + 1)) && printf 'skip  %s: %s\n' "$(basename "$trs" .trs)" \
            "$(grep -v ^SKIP "${trs%.trs}.log" | tail -n 1)" ;;
        *) failed=$((failed + 1)) failures+=("$name: $(basename "$trs" .trs)") && tail -n 40 "${trs%.trs}.log" ;;
        esac
    done < <(find "$folder" -name '*.trs' -not -path '*/kpar-*' | sort)
    if find "$folder" -name '*.trs' | grep -q .; then return; fi
    count fail "$name: make check" "no test was run" && tail -n 40 "$folder/check.log"
}

# A Python with Keras for the round trips: $PYTHON where it has one, else a virtual environment under build/.
find_keras() {
    local python=${PYTHON:-$top/build/venv/bin/python}
    if ! "$python" -c 'import keras, numpy, h5py' >/dev/null 2>&1 && [ -z "${PYTHON:-}" ]; then
        say "installing Keras into build/venv"
        { python3 -m venv "$top/build/venv" &&
            "$python" -m pip install -q keras tensorflow-cpu numpy h5py; } >"$work/pip.log" 2>&1 || true
    fi
    if "$python" -c 'import keras, numpy, h5py' >"$work/keras.log" 2>&1; then export PYTHON=$python; return; fi
    count skip "round trips through Keras" "$(tail -n 1 "$work/pip.log" "$work/keras.log" 2>/dev/null | tail -n 1)"
}

# The tests that need neither minutes nor Keras.
smoke() { make -s -C "$1" print-smoke-tests; }

# other NAME ARGUMENT...: another build with the smoke set.
other() {
    local name=$1
    shift
    if build "$work/$name" --enable-werror "$@"; then check "$name" "$work/$name" TESTS="$(smoke "$work/$name")"
    else count fail "$name: build"; fi
}

train_under_valgrind() {
    cd "$work"
    valgrind -q --error-exitcode=9 --suppressions="$top/tests/valgrind.supp" gcc/kpar_train \
        "$top/examples/digits/model.keras" --data "$top/examples/digits/digits.npz" --x x_train --y y_train \
        --batch-size 512 --epochs 1 --output "$work/valgrind.keras"
}

demo() { # demo FOLDER: must reach what its README promises
    cd "$work"
    "$top/examples/digits/run.sh" "$1" && "$top/examples/digits/check.sh" digits.keras "$1"
}

# shellcheck disable=SC2086 # words on purpose
need_packages $build_packages $test_packages
need_configure
mkdir -p "$work"
find_keras

if build "$work/gcc" --enable-werror; then
    check gcc "$work/gcc"
    step "the demo reaches its accuracy on 4 ranks" demo "$work/gcc"
    step "a short training is clean under valgrind" train_under_valgrind
    step "make distcheck" make -C "$work/gcc" -j"$cores" distcheck TESTS="$(smoke "$work/gcc")" \
        DISTCHECK_CONFIGURE_FLAGS="CC=clang CFLAGS=-O0"
else
    count fail "gcc: build"
fi
other clang CC=clang CFLAGS="-O2 -g"
# clang: gcc takes three times as long for the sanitizers.
other sanitizers CC=clang --enable-debug --enable-sanitizers=address,undefined CFLAGS="-O1 -g"
other mpich --with-mpi=mpich CFLAGS="-O2 -g"

for failure in "${failures[@]}"; do say "failed: $failure"; done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
