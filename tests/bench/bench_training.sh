#!/bin/sh
# How fast kpar trains next to PyTorch, one thread a rank, on one rank and on two that share each batch. Prints a table and
# asserts nothing; docs/performance.md says how to read it.
#
#   bench_training.sh [MODEL:BATCH:ROWS ...]    ROWS: rows of an epoch, for two batches of BATCH at least
#
# KPAR_TRAIN     the kpar_train to measure (./kpar_train)
# TORCH_PYTHON   a Python that has torch (python3); without torch kpar is measured alone
# ROUNDS, EPOCHS rounds of all sides in turn (5), epochs of a run (3); the first of a run does not count
here=$(dirname "$0")
train=${KPAR_TRAIN:-./kpar_train}
python=${TORCH_PYTHON:-${PYTHON:-python3}}
rounds=${ROUNDS:-5}
epochs=${EPOCHS:-3}
OMP_NUM_THREADS=1
LIMIT=${LIMIT:-1200}
export OMP_NUM_THREADS LIMIT
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM
have_torch=
if "$python" -c 'import torch' >/dev/null 2>&1; then have_torch=yes; fi

# kpar MODEL BATCH ROWS RANKS EPOCHS: its line of each epoch. A rank's standard output is a file, for kpar_share.
kpar()
{
    rm -f "$folder"/rank.*
    "$here/../mpi/run.sh" "$4" sh -c 'out=$1 && shift && exec "$@" >"$out.$$"' sh "$folder/rank" "$train" "$here/models/$1.json" \
        --data "random:$3" --batch-size "$2" --epochs "$5" --threads-per-rank 1 --verbose 2 || exit 1
    cat "$folder"/rank.* | grep '^Epoch'
}

median() { sort -g | awk '{ v[NR] = $1 } END { print NR ? (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 : "-" }'; }

# Samples/s of an epoch, the first aside: the median.
kpar_rate() { kpar "$1" "$2" "$3" "$4" "$epochs" | sed '1d; s/.* - \([0-9]*\) samples.*/\1/' | median; }

# The share of a run's time that the matmuls take, as oneDNN tells it; mean over ranks.
kpar_share()
{
    DNNL_VERBOSE=1
    export DNNL_VERBOSE
    rate=$(kpar "$1" "$2" "$3" "$4" 1 | sed 's/.* - \([0-9]*\) samples.*/\1/')
    unset DNNL_VERBOSE
    awk -F, -v rows="$3" -v rate="$rate" -v ranks="$4" \
        '/,exec,cpu,/ && /,matmul,/ { ms += $NF } END { printf "%.3f\n", ms / 1000 / ranks / (rows / rate) }' "$folder"/rank.*
}

# torch MODEL BATCH ROWS RANKS EPOCHS [--matmuls]: samples/s and share of the matmuls.
torch()
{
    if [ -z "$have_torch" ]; then echo - - && return; fi
    "$python" "$here/torch_training.py" "$here/models/$1.json" --batch-size "$2" --rows "$3" --ranks "$4" --epochs "$5" $6 2>"$folder/torch.err" ||
        { cat "$folder/torch.err" >&2 && exit 1; }
}

# A round: each side in turn, on one rank and on two.
measure()
{
    for ranks in 1 2; do
        echo "$1 $2 $ranks kpar $(kpar_rate "$1" "$2" "$3" $ranks)"
        echo "$1 $2 $ranks torch $(torch "$1" "$2" "$3" $ranks "$epochs" | sed 's/ .*//')"
    done
}

# Shares of the matmuls: one run of each is enough.
measure_shares()
{
    for ranks in 1 2; do
        echo "$1 $2 $ranks kpar_share $(kpar_share "$1" "$2" "$3" $ranks)"
        echo "$1 $2 $ranks torch_share $(torch "$1" "$2" "$3" $ranks 1 --matmuls | sed 's/.* //')"
    done
}

[ $# -gt 0 ] || set -- w1_mlp:128:6400 w5_deep_mlp:256:1024
for row; do
    model=${row%%:*} rest=${row#*:}
    batch=${rest%%:*} rows=${rest#*:}
    for batch in "$batch" $((2 * batch)); do
        round=0
        while [ $round -lt "$rounds" ]; do
            measure "$model" "$batch" "$rows"
            round=$((round + 1))
        done
        measure_shares "$model" "$batch" "$rows"
    done
done >"$folder/figures"

# Each ratio is the median of the rounds' ratios: what else the machine does changes from round to round.
awk '
function median(list, n, values, i, j, t) {
    n = split(list, values, " ")
    for (i = 2; i <= n; i++)
        for (j = i; j > 1 && values[j - 1] + 0 > values[j] + 0; j--) { t = values[j]; values[j] = values[j - 1]; values[j - 1] = t }
    return n ? (values[int((n + 1) / 2)] + values[int(n / 2) + 1]) / 2 : "-"
}
# The median of a / (factor b), over rounds.
function ratio(a, b, factor, n, i, x, y, list) {
    n = split(a, x, " ")
    split(b, y, " ")
    for (i = 1; i <= n; i++) if (x[i] + 0 > 0 && y[i] + 0 > 0) list = list " " x[i] / (factor * y[i])
    return median(list)
}
function shown(value, format) { return value == "-" || value == "" ? "-" : sprintf(format, value) }
function cells(side, row, one, first) {
    printf " | %10s %7s", shown(median(rate[row, side]), "%.0f"), shown(share[row, side], "%.0f %%")
    printf " %6s", row == one ? "" : shown(ratio(rate[row, side], rate[one, side], 2), "%.2f")
    printf " %6s", row == one ? "" : shown(ratio(rate[row, side], rate[first, side], 2), "%.2f")
}
{
    row = $1 " " $2 " " $3
    if (!(row in seen)) { seen[row] = 1; rows[++n] = row }
    if ($4 ~ /_share$/) share[row, substr($4, 1, length($4) - 6)] = $5 == "-" ? "-" : 100 * $5
    else if ($5 != "-") rate[row, $4] = rate[row, $4] " " $5
}
END {
    printf "%-12s %5s %5s | %10s %7s %6s %6s | %10s %7s %6s %6s | %s\n", "model", "batch", "ranks", "kpar", "matmul", "eff", "eff*", "torch", "matmul", "eff", "eff*", "kpar/torch"
    for (i = 1; i <= n; i++) {
        split(rows[i], at, " ")
        if (at[1] != model) { model = at[1]; first = rows[i] }
        printf "%-12s %5d %5d", at[1], at[2], at[3]
        cells("kpar", rows[i], at[1] " " at[2] " 1", first)
        cells("torch", rows[i], at[1] " " at[2] " 1", first)
        printf " | %10s\n", shown(ratio(rate[rows[i], "kpar"], rate[rows[i], "torch"], 1), "%.2f")
    }
    print "samples/s; matmul: share of the step; eff: rate on 2 ranks / twice that on 1; eff*: / twice that on 1 with the smaller batch"
}' "$folder/figures"
