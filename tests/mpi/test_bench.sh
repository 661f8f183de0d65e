#!/bin/sh
# kpar_bench with real ranks: right results for each collective and algorithm, the table, the JSON, wrong usage.
. "$(dirname "$0")/assert.sh"
run=$(dirname "$0")/run.sh

"$run" 1 true >/dev/null || { echo "no mpirun starts here"; exit 77; }

bench() { # bench RANKS ARGUMENT...
    ranks=$1
    shift
    SHOW=1 "$run" "$ranks" ./kpar_bench "$@" -n 4 -w 1 >"$work/out" 2>&1
    code=$?
}
rows() { grep -c '^ *[0-9]' "$work/out"; }

for collective in all_reduce reduce_scatter all_gather; do
    for algorithm in direct exchange ring whole; do
        bench 3 $collective -b 8 -e 64K -f 64 --choice $collective:$algorithm
        equal "$collective by $algorithm is right on 3 ranks" "0, 3 rows" "$code, $(rows) rows"
    done
    for ranks in 1 2 4; do
        bench $ranks $collective -b 4 -e 256K -f 256 --against mpi --json "$work/$collective.json"
        equal "$collective against MPI on $ranks ranks" "0, 3 rows" "$code, $(rows) rows"
        equal "the JSON has these rows, two sides each, nothing wrong" 6 "$(grep -c '"wrong": 0' "$work/$collective.json")"
    done
done
[ $failures -eq 0 ] || cat "$work/out"

bench 4 all_reduce -b 1K -e 1K
contains "the header has the formula with its numbers" "busbw = algbw x 2 (n - 1) / n = algbw x 2 x 3 / 4 = algbw x 1.5" "$(cat "$work/out")"
bench 4 all_gather -b 1K -e 1K --ranks-per-node 2
contains "pretended nodes are told" "4 ranks on 2 nodes" "$(cat "$work/out")"

# refused SENTENCE CODE LINE ARGUMENT...: one line, nothing measured.
refused() {
    sentence=$1 expected=$2 line=$3
    shift 3
    bench 2 "$@"
    equal "$sentence: code" "$expected" $code
    equal "$sentence: one line" 1 "$(grep -c '^kpar_bench:' "$work/out")"
    contains "$sentence: is named" "$line" "$(cat "$work/out")"
    equal "$sentence: no row" 0 "$(rows)"
}
refused "no collective" 2 "all_reduce, reduce_scatter or all_gather"
refused "another collective" 2 "'broadcast'" broadcast
refused "a size that is none" 2 "--begin 4Q" all_reduce -b 4Q
refused "sizes the wrong way round" 2 "--end 1K is below" all_reduce -b 1M -e 1K
refused "an unknown algorithm" 2 "all_reduce:circle" all_reduce --choice all_reduce:circle
refused "an algorithm that cannot serve" 2 "share no memory" all_reduce --choice all_reduce:direct --no-windows
refused "a folder that is missing" 1 "$work/none/x.json" all_reduce --json "$work/none/x.json"

[ $failures -eq 0 ]
