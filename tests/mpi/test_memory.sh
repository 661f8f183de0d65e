#!/bin/sh
# A model larger than one rank's memory: refused on one rank, with where it would fit; trained, read and written on four
# ranks of which each may have as much. By messages alone: RLIMIT_DATA does not count what ranks share. And memory does not
# grow with the steps.
. "$(dirname "$0")/assert.sh"
run=$(dirname "$0")/run.sh
program=./kpar_train
LIMIT=100 SHOW=1
export LIMIT SHOW

"$run" 1 true >/dev/null || { echo "no mpirun starts here"; exit 77; }
(ulimit -d 400000) 2>/dev/null || { echo "this shell cannot limit data"; exit 77; }
timeout 20 $program --version >/dev/null || exit 99
if nm $program 2>/dev/null | grep -q __asan_init; then echo "a sanitizer's shadow takes more than any limit"; exit 77; fi

# 16 layers of 2560 x 2560: 400 MiB of weights, as much of gradients.
wide=$work/wide.json
sed 's/\b2048\b/2560/g' "${srcdir:-.}/tests/bench/models/w5_deep_mlp.json" >"$wide"

# limited RANKS MODEL ARGUMENT...: one step with 390 MiB a rank; sets code, output in $work/out, figures in $work/json.
limited() {
    ranks=$1 model=$2
    shift 2
    (ulimit -d 400000 && exec "$run" "$ranks" $program "$model" --data random:8 --batch-size 8 --steps 1 --threads-per-rank 1 \
        --verbose 0 --json "$work/json" "$@") >"$work/out" 2>&1
    code=$?
}
# figure NAME: of the run's file, in KiB.
figure() { sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p" "$work/json" | awk '{ print int($1 / 1024) }'; }

limited 1 "$wide"
equal "one rank refuses a model larger than its memory" 1 $code
contains "the refusal says whose memory is too small" "memory: rank 0 needs" "$(cat "$work/out")"
contains "and by what it is bounded" "its limit of data (ulimit -d)" "$(cat "$work/out")"
contains "and on which pipeline it would fit" "--pipeline 4 (4 ranks, " "$(cat "$work/out")"
contains "and on how many tensor ranks" "--tensor 4 (4 ranks, " "$(cat "$work/out")"
contains "and how to go on all the same" "--no-memory-check" "$(cat "$work/out")"
equal "the refusal is one line" 1 "$(grep -c '^kpar_train: ' "$work/out")"
limited 1 "$wide" --no-memory-check
equal "going on all the same ends where memory is refused" 1 $code
contains "with one line that says so" "memory were refused" "$(grep '^kpar_train: ' "$work/out")"

# is_planned SENTENCE: the plan's memory and what was measured are within 15 % of each other.
is_planned() {
    planned=$(figure rank_memory_bytes) peak=$(figure peak_rank_bytes)
    if [ "$((planned * 100))" -ge "$((peak * 85))" ] && [ "$((peak * 100))" -ge "$((planned * 85))" ]; then echo "ok: $1: takes what is planned"
    else fail "$1: takes what is planned" "$planned KiB" "$peak"; fi
}
check_figures() { # SENTENCE
    equal "$1: trains" 0 $code
    peak=$(figure peak_rank_bytes)
    whole=819200 # KiB on one rank: weights and gradients alone
    [ "$((peak * 100))" -le "$((whole * 30))" ] || fail "$1: a rank has about its share of $whole KiB" "< $((whole * 30 / 100))" "$peak"
    is_planned "$1"
}
limited 4 "$wide" --pipeline 4 --transport mpi --output "$work/wide.keras"
check_figures "a pipeline of four such ranks"
limited 4 "$work/wide.keras" --pipeline 4 --transport mpi --output "$work/wide.keras"
check_figures "the file that it wrote, on four stages"
limited 4 "$work/wide.keras" --tensor 4 --transport mpi
check_figures "the same file on four tensor ranks"

# --- what is planned is what a run takes ---

# short RANKS MODEL ARGUMENT...: three steps.
short() {
    ranks=$1 model=${srcdir:-.}/tests/$2
    shift 2
    "$run" "$ranks" $program "$model" --data random:48 --batch-size 16 --threads-per-rank 1 --verbose 0 --json "$work/json" "$@" \
        >"$work/out" 2>&1
    equal "$ranks $model $*: trains" 0 $?
    is_planned "$ranks $model $*"
}
if is_open_mpi; then
    short 2 cases/data/lstm_embedding/model.keras # many small kernels
    short 1 cases/data/residual_blocks/model.keras --validation-split 0.3
    short 2 cases/data/conv2d/model.keras
    short 2 bench/models/w1_mlp.json --transport mpi # the MPI library copies what it sums
else
    echo "skip: what small models take: what a process has by itself was measured with Open MPI"
fi

# --- what a run takes does not grow ---

small=${srcdir:-.}/tests/cases/data/opt_sgd
# epochs RANKS N: so many of 4 steps, with validation and checkpoints; prints the peak in KiB.
epochs() {
    rm -rf "$work/saved"
    "$run" "$1" $program "$small/model.keras" --data "$small/data.npz" --batch-size 8 --validation-split 0.2 --epochs "$2" \
        --checkpoint "$work/saved" --checkpoint-every 100 --threads-per-rank 1 --verbose 0 --json "$work/json" >"$work/out" 2>&1
    equal "$1 trains $2 epochs" 0 $? >&2
    figure peak_rank_bytes
}
for ranks in 1 2; do
    few=$(epochs $ranks 30) many=$(epochs $ranks 500)
    if [ "$many" -le "$((few + 1024))" ]; then echo "ok: 2000 steps on $ranks take no more memory than 120"
    else fail "2000 steps on $ranks take no more memory than 120" "$few KiB" "$many KiB"; fi
done

exit $((failures > 0))
