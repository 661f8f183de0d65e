#!/bin/sh
# The bubble of each schedule: what the plan predicts and what is measured, with samples/s, next to PyTorch's pipeline in the
# same run; one thread a rank. Prints a table and asserts nothing; docs/performance.md says how to read it.
#
#   bench_bubble.sh [STAGES ...]      2 4 without arguments
#
# MODEL, BATCH, ROWS, MICROBATCHES   what is trained (w5_deep_mlp, 256, 512, 8)
# KPAR_TRAIN     the kpar_train to measure (./kpar_train)
# TORCH_PYTHON   a Python that has torch (python3); without torch those lines are left out
# ROUNDS         rounds of all schedules in turn (3)
here=$(dirname "$0")
train=${KPAR_TRAIN:-./kpar_train}
python=${TORCH_PYTHON:-${PYTHON:-python3}}
model=$here/models/${MODEL:-w5_deep_mlp}.json
batch=${BATCH:-256}
rows=${ROWS:-512}
microbatches=${MICROBATCHES:-8}
rounds=${ROUNDS:-3}
LIMIT=${LIMIT:-1200}
OMP_NUM_THREADS=1
export LIMIT OMP_NUM_THREADS
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM

number() { sed -n "s/^ *\"$1\": \([0-9.e+-]*\),*$/\1/p" "$folder/run.json"; }

# kpar STAGES SCHEDULE: "predicted measured samples/s". The measured bubble is the share of its time that a rank waits.
kpar()
{
    "$here/../mpi/run.sh" "$1" "$train" "$model" --data "random:$rows" --batch-size "$batch" --epochs 3 --pipeline "$1" \
        --microbatches "$microbatches" --schedule "$2" --threads-per-rank 1 --verbose 0 --json "$folder/run.json" >&2 || exit 1
    echo "$(number bubble_share) $(number compute_seconds) $(number wait_seconds) $(number samples_per_second | tail -n 1)" |
        awk '{ printf "%.3f %.3f %.1f\n", $1, $3 / ($2 + $3), $4 }'
}

# torch STAGES SCHEDULE: samples/s
torch()
{
    "$python" "$here/torch_pipeline.py" "$model" --batch-size "$batch" --rows "$rows" --epochs 3 --ranks "$1" \
        --microbatches "$microbatches" --schedule "$2" 2>"$folder/err" || { cat "$folder/err" >&2 && exit 1; }
}

[ $# -gt 0 ] || set -- 2 4
for stages; do
    round=0
    while [ $round -lt "$rounds" ]; do
        for schedule in gpipe 1f1b interleaved zb-h1; do
            echo "$stages kpar $schedule $(kpar "$stages" $schedule)"
        done
        if "$python" -c 'import torch' >/dev/null 2>&1; then
            echo "$stages torch gpipe - - $(torch "$stages" GPipe)"
            echo "$stages torch 1f1b - - $(torch "$stages" 1F1B)"
        fi
        round=$((round + 1))
    done
done | awk -v model="$(basename "$model" .json)" -v batch="$batch" -v microbatches="$microbatches" '
    function median(list, n, values, i, j, t) {
        n = split(list, values, " ")
        for (i = 2; i <= n; i++)
            for (j = i; j > 1 && values[j - 1] + 0 > values[j] + 0; j--) { t = values[j]; values[j] = values[j - 1]; values[j - 1] = t }
        return n ? (values[int((n + 1) / 2)] + values[int(n / 2) + 1]) / 2 : 0
    }
    {
        key = $1 " " $2 " " $3
        if (!(key in rate)) keys[++n] = key
        predicted[key] = $4
        measured[key] = measured[key] " " $5
        rate[key] = rate[key] " " $6
        if ($2 " " $3 == "torch 1f1b") against[$1] = against[$1] " " $6
    }
    END {
        printf "%s, batch %d, %d microbatches\n", model, batch, microbatches
        print "stages  by     schedule     predicted bubble  measured  samples/s  to torch 1f1b"
        for (i = 1; i <= n; i++) {
            split(keys[i], k, " ")
            p = k[2] == "kpar" ? sprintf("%.0f %%", 100 * predicted[keys[i]]) : "-"
            m = k[2] == "kpar" ? sprintf("%.0f %%", 100 * median(measured[keys[i]])) : "-"
            r = k[1] in against ? sprintf("%.2f", median(rate[keys[i]]) / median(against[k[1]])) : "-"
            printf "%6d  %-5s  %-11s  %16s  %8s  %9.1f  %13s\n", k[1], k[2], k[3], p, m, median(rate[keys[i]]), r
        }
    }'
