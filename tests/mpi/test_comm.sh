#!/bin/sh
# Transport `mpi` with real ranks: everything on 1 to 8 of them, with and without windows, on pretended nodes; and each way
# to end a job gives one line.
run=$(dirname "$0")/run.sh
program=tests/mpi/test_comm_mpi
failures=0

"$run" 1 true >/dev/null || { echo "no mpirun starts here"; exit 77; }

report() { # report NAME CODE
    if [ "$2" -eq 0 ]; then echo "ok: $1"; else echo "FAIL: $1" && failures=$((failures + 1)); fi
}

for ranks in 1 2 4 8; do
    for options in "" --no-windows "--ranks-per-node 2 --chunk-bytes 1000" --funneled; do
        # shellcheck disable=SC2086 # words on purpose
        "$run" $ranks $program $options
        report "$ranks ranks ${options:-with windows}" $?
    done
done

# ends NAME CODE LINE: a job of 4 ranks that fails in this way has this exit code and one line of ours, matching LINE.
ends() {
    output=$(SHOW=1 "$run" 4 $program "$1")
    code=$?
    lines=$(printf '%s\n' "$output" | grep '^test_comm_mpi: ')
    good=1
    # shellcheck disable=SC2254 # a pattern on purpose
    case $lines in $3) [ "$(printf '%s\n' "$lines" | wc -l)" -eq 1 ] && [ $code -eq "$2" ] && good=0 ;; esac
    [ $good -eq 0 ] || printf '  expected: code %s, %s\n  found:    code %s, %s\n' "$2" "$3" $code "$output"
    report "a job that ends by '$1' has one line" $good
}
ends all 1 'test_comm_mpi: rank [0-3] fails with all others'
ends one 1 'test_comm_mpi: the last rank fails alone'
ends turns 1 'test_comm_mpi: rank 3 fails in its turn'
ends agreed 2 'test_comm_mpi: rank 1 does not want to'

[ $failures -eq 0 ]
