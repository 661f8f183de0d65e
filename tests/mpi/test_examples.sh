#!/bin/sh
# Runs the programs of examples/ as the comment at the end of each says: "test: ranks 1 2 4" begins a test, followed by
# "arguments:", "code:" of the job (0) and any number of "output:", an extended regular expression that a whole line of
# the output matches. RANKS, SOURCE and WORK stand for the number of ranks, the folder of the examples, an empty folder.
srcdir=${srcdir:-$(dirname "$0")/../..}
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
failures=0 tests=0

if ! grep -q '^#define KPAR_HAVE_MPI' config.h; then echo "built without MPI"; exit 77; fi
command -v "${MPIRUN:-mpirun}" >/dev/null || { echo "no ${MPIRUN:-mpirun} here"; exit 77; }

fail() { # fail MESSAGE: with the output of the job
    echo "FAIL: $program, $ranks ranks, $arguments: $1"
    sed 's/^/    /' "$work/log"
    failures=$((failures + 1))
}

# check FILE: the job of one test, whose lines are in FILE, on $ranks ranks.
check() {
    fill="s|RANKS|$ranks|g; s|SOURCE|$srcdir/examples|g; s|WORK|$work|g"
    arguments=$(sed -n 's/^arguments: //p' "$1" | sed "$fill")
    expected=$(sed -n 's/^code: //p' "$1")
    tests=$((tests + 1))
    # shellcheck disable=SC2086 # arguments are words
    SHOW=1 "$srcdir/tests/mpi/run.sh" "$ranks" "./examples/$program" $arguments >"$work/log" 2>&1
    code=$?
    [ $code -eq "${expected:-0}" ] || { fail "code $code, expected ${expected:-0}"; return; }
    sed -n 's/^output: //p' "$1" | sed "$fill" >"$work/lines"
    while IFS= read -r line; do
        grep -qxE -- "$line" "$work/log" || { fail "no line is: $line"; return; }
    done <"$work/lines"
    echo "ok: $program, $ranks ranks, $arguments"
}

for program in allreduce train_digits; do
    rm -f "$work"/test.*
    sed -n 's/^ \* \(\(test\|arguments\|code\|output\): .*\)/\1/p' "$srcdir/examples/$program.c" |
        awk -v file="$work/test." '/^test: /{ n++ } { print > (file n) }'
    for test in "$work"/test.*; do
        for ranks in $(sed -n 's/^test: ranks //p' "$test"); do check "$test"; done
    done
done
[ $tests -ge 2 ] || { echo "the examples say no tests"; exit 1; }
[ $failures -eq 0 ]
