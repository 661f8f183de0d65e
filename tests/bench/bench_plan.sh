#!/bin/sh
# How long a plan takes as models get deeper: seconds of `kpar_train --plan` on MLPs of so many Dense layers of 16 units. A plan whose
# passes are linear takes twice as long for twice the layers. Prints a table and asserts nothing.
#
#   bench_plan.sh [LAYERS ...]      250 500 1000 without arguments
#
# KPAR_TRAIN     the kpar_train to measure (./kpar_train)
train=${KPAR_TRAIN:-./kpar_train}
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM
[ $# -gt 0 ] || set -- 250 500 1000

# deep LAYERS: the model as JSON.
deep()
{
    printf '{"class_name": "Sequential", "config": {"name": "deep", "layers": ['
    printf '{"class_name": "InputLayer", "config": {"batch_shape": [null, 16], "dtype": "float32", "name": "input"}}'
    i=1
    while [ $i -le "$1" ]; do
        printf ', {"class_name": "Dense", "config": {"name": "dense_%d", "units": 16, "activation": "relu"}}' $i
        i=$((i + 1))
    done
    printf ']}, "compile_config": {"optimizer": "adam", "loss": "mean_squared_error"}}\n'
}

# seconds LAYERS LAYOUT...
seconds()
{
    model=$folder/$1.json
    shift
    LC_ALL=C bash -c 'TIMEFORMAT=%R; time "$@" >/dev/null' bash "$train" "$model" --plan --batch-size 64 "$@" 2>&1 | tail -n 1
}

printf '| layers | one rank | data 4 | pipeline 4 | tensor 2 x pipeline 2 |\n| --- | --- | --- | --- | --- |\n'
for layers; do
    deep "$layers" >"$folder/$layers.json"
    printf '| %s | %s | %s | %s | %s |\n' "$layers" "$(seconds "$layers" --ranks 1)" "$(seconds "$layers" --ranks 4)" \
        "$(seconds "$layers" --ranks 4 --pipeline 4)" "$(seconds "$layers" --ranks 4 --tensor 2 --pipeline 2)"
done
