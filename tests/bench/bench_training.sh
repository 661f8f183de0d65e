#!/bin/sh
# How fast kpar trains next to PyTorch and Keras, one thread a rank, on one rank and on two that share each batch. Prints two
# tables and asserts nothing; docs/performance.md says how to read them.
#
#   bench_training.sh [MODEL:BATCH[,BATCH...]:ROWS ...]    ROWS: rows of an epoch, for two batches at least
#
# KPAR_TRAIN     the kpar_train to measure (./kpar_train)
# TORCH_PYTHON   a Python that has torch (python3); without torch that column is empty
# KERAS_PYTHON   a Python that has keras and tensorflow (python3); likewise
# ROUNDS, EPOCHS rounds of all sides in turn (5), epochs of a run (3); the first of a run does not count
here=$(dirname "$0")
train=${KPAR_TRAIN:-./kpar_train}
torch_python=${TORCH_PYTHON:-${PYTHON:-python3}}
keras_python=${KERAS_PYTHON:-${PYTHON:-python3}}
rounds=${ROUNDS:-5}
epochs=${EPOCHS:-3}
LIMIT=${LIMIT:-1200}
export LIMIT
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM
have_torch= have_keras=
if "$torch_python" -c 'import torch' >/dev/null 2>&1; then have_torch=yes; fi
if KERAS_BACKEND=tensorflow "$keras_python" -c 'import keras' >/dev/null 2>&1; then have_keras=yes; fi

# on N COMMAND...: with N threads in all, on so many processors where they can be picked.
on()
{
    n=$1 && shift
    if command -v taskset >/dev/null; then
        last=$(($(unset OMP_NUM_THREADS && nproc) - 1)) # nproc would tell that number
        set -- taskset -c $((last >= n ? last - n + 1 : 0))-$last "$@"
    fi
    "$@"
}

# kpar MODEL BATCH ROWS RANKS EPOCHS: its line of each epoch. Times of the kernels go to a file of each rank.
kpar()
{
    rm -f "$folder"/profile.*
    OMP_NUM_THREADS=1 SHOW=1 on "$4" "$here/../mpi/run.sh" "$4" "$train" "$here/models/$1.json" --data "random:$3" \
        --batch-size "$2" --epochs "$5" --threads-per-rank 1 --verbose 2 --profile "$folder/profile.%r" >"$folder/kpar" 2>&1 ||
        { cat "$folder/kpar" >&2 && exit 1; }
    grep '^Epoch' "$folder/kpar"
}

median() { sort -g | awk '{ v[NR] = $1 } END { print NR ? (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 : "-" }'; }

# Samples/s of an epoch, the first aside: the median.
kpar_rate() { kpar "$1" "$2" "$3" "$4" "$epochs" | sed '1d; s/.* - \([0-9]*\) samples.*/\1/' | median; }

# The shares of a step's time that each op takes, "OP SHARE" a line; mean over ranks.
kpar_shares()
{
    rate=$(kpar "$1" "$2" "$3" "$4" 1 | sed 's/.* - \([0-9]*\) samples.*/\1/')
    cat "$folder"/profile.* | awk -F'\t' -v rows="$3" -v rate="$rate" -v ranks="$4" '
        $1 == "train" { seconds[$5] += $2 }
        END { for (op in seconds) printf "%s %.3f\n", op, seconds[op] / ranks / (rows / rate) }'
}

# torch MODEL BATCH ROWS RANKS EPOCHS [--matmuls]: samples/s and share of the matmuls.
torch()
{
    if [ -z "$have_torch" ]; then echo - - && return; fi
    OMP_NUM_THREADS=1 on "$4" "$torch_python" "$here/torch_training.py" "$here/models/$1.json" --batch-size "$2" --rows "$3" \
        --ranks "$4" --epochs "$5" $6 2>"$folder/err" || { cat "$folder/err" >&2 && exit 1; }
}

# keras MODEL BATCH ROWS THREADS: samples/s of one process.
keras()
{
    if [ -z "$have_keras" ]; then echo - && return; fi
    OMP_NUM_THREADS=$4 on "$4" "$keras_python" "$here/keras_training.py" "$here/models/$1.json" --batch-size "$2" --rows "$3" \
        --threads "$4" --epochs "$epochs" 2>"$folder/err" || { cat "$folder/err" >&2 && exit 1; }
}

# A round: each side in turn, on one rank and on two.
measure()
{
    for ranks in 1 2; do
        echo "$1 $2 $ranks kpar $(kpar_rate "$1" "$2" "$3" $ranks)"
        echo "$1 $2 $ranks torch $(torch "$1" "$2" "$3" $ranks "$epochs" | sed 's/ .*//')"
        echo "$1 $2 $ranks keras $(keras "$1" "$2" "$3" $ranks)"
    done
}

# Where the time goes: one run of each is enough.
measure_shares()
{
    for ranks in 1 2; do
        kpar_shares "$1" "$2" "$3" $ranks | sed "s/^/$1 $2 $ranks op /"
        echo "$1 $2 $ranks torch_share $(torch "$1" "$2" "$3" $ranks 1 --matmuls | sed 's/.* //')"
    done
}

[ $# -gt 0 ] || set -- w1_mlp:128,256:6400 w2_mnist_convnet:64,128:2560 w3_resnet20:64,128:512 w4_transformer_lm:8,16:64 \
    w5_deep_mlp:256,512:1024
for row; do
    model=${row%%:*} rest=${row#*:}
    rows=${rest#*:}
    for batch in $(echo "${rest%%:*}" | tr , ' '); do
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
# The median of a / (factor times the larger of b and c), over rounds.
function ratio(a, b, factor, c, n, i, x, y, z, other, list) {
    n = split(a, x, " ")
    split(b, y, " ")
    split(c, z, " ")
    for (i = 1; i <= n; i++) {
        other = y[i] + 0 > z[i] + 0 ? y[i] : z[i]
        if (x[i] + 0 > 0 && other + 0 > 0) list = list " " x[i] / (factor * other)
    }
    return median(list)
}
function shown(value, format) { return value == "-" || value == "" ? "-" : sprintf(format, value) }
function cells(side, row, one, first) {
    printf " | %8s %7s", shown(median(rate[row, side]), "%.0f"), shown(share[row, side], "%.0f %%")
    printf " %6s", row == one ? "" : shown(ratio(rate[row, side], rate[one, side], 2), "%.2f")
    printf " %6s", row == one ? "" : shown(ratio(rate[row, side], rate[first, side], 2), "%.2f")
}
{
    row = $1 " " $2 " " $3
    if (!(row in seen)) { seen[row] = 1; rows[++n] = row }
    if ($4 == "op") {
        if ($5 ~ /^(matmul|conv)/) share[row, "kpar"] += 100 * $6
        if (!($5 in known)) { known[$5] = 1; ops[++n_ops] = $5 }
        of[row, $5] = 100 * $6
    }
    else if ($4 == "torch_share") share[row, "torch"] = $5 == "-" ? "-" : 100 * $5
    else if ($5 != "-") rate[row, $4] = rate[row, $4] " " $5
}
END {
    printf "%-17s %5s %5s | %8s %7s %6s %6s | %8s %7s %6s %6s | %8s | %s\n", "model", "batch", "ranks", "kpar", "matmul", "eff", "eff*", "torch", "matmul", "eff", "eff*", "keras", "kpar/best"
    for (i = 1; i <= n; i++) {
        split(rows[i], at, " ")
        if (at[1] != model) { model = at[1]; first = rows[i] }
        printf "%-17s %5d %5d", at[1], at[2], at[3]
        cells("kpar", rows[i], at[1] " " at[2] " 1", first)
        cells("torch", rows[i], at[1] " " at[2] " 1", first)
        printf " | %8s", shown(median(rate[rows[i], "keras"]), "%.0f")
        printf " | %9s\n", shown(ratio(rate[rows[i], "kpar"], rate[rows[i], "torch"], 1, rate[rows[i], "keras"]), "%.2f")
    }
    print "samples/s; matmul: share of the step in matmuls and convolutions; eff: rate on 2 ranks / twice that on 1; eff*: / twice that on 1 with the smaller batch; best: the faster of the other two"
    print ""
    print "kpar: share of the step in each op, from 1 %; the rest waits, moves data or reads them"
    for (i = 1; i <= n; i++) {
        split(rows[i], at, " ")
        printf "%-17s %5d %5d |", at[1], at[2], at[3]
        for (o = 1; o <= n_ops; o++) if (of[rows[i], ops[o]] >= 1) printf " %s %.0f %%", ops[o], of[rows[i], ops[o]]
        print ""
    }
}' "$folder/figures"
