#!/bin/sh
# kpar_train as people start it: one rank and four, what it writes, how it goes on after a stop, and that bad input ends
# with one line, a code, and nothing lost.
. "$(dirname "$0")/assert.sh"
run=$(dirname "$0")/run.sh
program=./kpar_train
cases=${srcdir:-.}/tests/cases/data
model=$cases/opt_sgd/model.keras
data=$cases/opt_sgd/data.npz
LIMIT=60 SHOW=1
export LIMIT SHOW

"$run" 1 true >/dev/null || { echo "no mpirun starts here"; exit 77; }

# job RANKS ARGUMENT...: sets code; output in $work/out.
job() { ranks=$1; shift; "$run" "$ranks" $program "$@" >"$work/out" 2>&1; code=$?; }
alone() { timeout 60 $program "$@" >"$work/out" 2>&1; code=$?; }

# --- training ---

train() { ranks=$1; shift; job "$ranks" "$model" --data "$data" --batch-size 8 --no-shuffle --verbose 2 "$@"; }

train 1 --output "$work/one.keras" --log "$work/one.csv" --reproducible 8
equal "one rank trains" 0 $code
contains "the first lines name the model and its parameters" "565 parameters, SGD" "$(cat "$work/out")"
contains "the first lines count the samples" "training on 40 samples in $data" "$(cat "$work/out")"
contains "the lines say where the model went" "trained model written to $work/one.keras" "$(cat "$work/out")"
contains "the last line has the times" "computing" "$(tail -n 1 "$work/out")"
equal "the log has a header and a row" "epoch,accuracy,loss 0" "$(head -n 1 "$work/one.csv") $(tail -n 1 "$work/one.csv" | cut -c 1)"

train 4 --output "$work/four.keras" --json "$work/four.json" --reproducible 8
equal "four ranks train" 0 $code
contains "the first lines tell each rank's share" "global batch 8: 2 rows for each of 4 replicas" "$(cat "$work/out")"
contains "the run file has the schema" '"schema": "kpar.run/1"' "$(cat "$work/four.json")"
contains "the run file has the plan's predictions" '"step_seconds"' "$(cat "$work/four.json")"
alone --compare "$work/one.keras" "$work/four.keras"
equal "reproducible runs on one rank and on four have the same bits" 0 $code

train 2 --output "$work/thread.keras" --reproducible 8 --progress-thread on --json "$work/thread.json"
equal "two ranks with progress threads train" 0 $code
contains "the first lines name the progress thread" "1 thread and a progress thread each" "$(cat "$work/out")"
contains "the run file names the progress thread" '"progress_thread": "on"' "$(cat "$work/thread.json")"
alone --compare "$work/one.keras" "$work/thread.keras"
equal "a progress thread changes no bits" 0 $code
train 4 --output "$work/thread.keras" --reproducible 8 --progress-thread on --transport mpi
alone --compare "$work/one.keras" "$work/thread.keras"
equal "nor does one that moves messages alone, on four ranks" 0 $code
train 4 --pipeline 2 --tensor 2 --progress-thread on --threads-per-rank 2
equal "progress threads beside two computing ones train a pipeline of split matrices" 0 $code

train 4 --pipeline 2 --output "$work/pipeline.keras"
equal "a pipeline of two stages with two replicas trains" 0 $code
train 4 --tensor 2 --transport mpi --zero 0 --output "$work/tensor.keras"
equal "split matrices by messages alone train" 0 $code
alone --compare "$work/one.keras" "$work/one.keras"
equal "--compare finds a file equal to itself" 0 $code
alone --compare "$model" "$work/one.keras"
equal "--compare tells a trained model from an untrained one" 1 $code

cp "$model" "$work/same.keras"
job 2 "$work/same.keras" --data "$data" --output "$work/same.keras" --verbose 0
equal "the output may be the model itself" 0 $code
alone --compare "$model" "$work/same.keras"
equal "the model was replaced" 1 $code

job 1 "$model" --data "$data" --learning-rate 0.5 --output "$work/rate.keras" --verbose 0
job 1 "$work/rate.keras" --data "$data" --evaluate --verbose 0
equal "a model trained with another learning rate loads again" 0 $code

awk -v l2='{"class_name": "L2", "config": {"l2": 3e38}}' 'BEGIN { n = 0 } /"kernel_regularizer": *null/ && n++ == 1 {
    sub(/null/, l2) } { print }' "${srcdir:-.}/tests/bench/models/w1_mlp.json" >"$work/penalty.json"
job 2 "$work/penalty.json" --data random:8 --batch-size 8 --pipeline 2 --threads-per-rank 1
equal "a penalty on weights that is not finite ends training" 1 $code
contains "and its layer is named" "the penalty on weights of layer 'dense_1' is not finite" "$(cat "$work/out")"

# --- evaluate and predict ---

for ranks in 1 4; do
    job $ranks "$model" --data "$data" --batch-size 16 --evaluate --predict "$work/p$ranks.npy" --json "$work/e$ranks.json" --verbose 0
    equal "$ranks evaluate and predict" 0 $code
    equal "--verbose 0 writes nothing" "" "$(cat "$work/out")"
done
equal "predictions for all rows are whole" 928 "$(wc -c <"$work/p4.npy" | tr -d ' ')"
evaluation() { sed -n '/"evaluation"/,/}/s/.*: \([0-9.]\{1,7\}\).*/\1/p' "$1" | xargs; }
equal "four ranks evaluate to what one does" "$(evaluation "$work/e1.json")" "$(evaluation "$work/e4.json")"

# --- one step against one rank ---

transformer=$cases/adam_transformer
job 4 "$transformer/model.keras" --data "$transformer/data.npz" --batch-size 8 --pipeline 2 --tensor 2 --check-layout
equal "a step on four ranks is that of one" 0 $code
contains "and says so" "step 1 of 8 rows is that of one rank: 64 values within their tolerance" "$(cat "$work/out")"
contains "differences stand beside their tolerances" "multi_head_attention/attention_output/kernel " "$(cat "$work/out")"
job 2 "$cases/bn_residual/model.keras" --data "$cases/bn_residual/data.npz" --batch-size 8 --microbatches 2 \
    --batch-statistics microbatch --check-layout
equal "statistics of microbatches are others" 1 $code
contains "what differs most is told" "values are beyond their tolerance, 'conv2d" "$(cat "$work/out")"

# --- settings file, plan, help ---

printf '{"model": "%s", "data": "%s", "epochs": 3, "verbose": 2, "x": ["x"]}\n' "$model" "$data" >"$work/settings.json"
alone --config "$work/settings.json"
equal "a settings file in JSON is read" 3 "$(grep -c '^Epoch' "$work/out")"
printf '# settings\nmodel = %s\ndata = %s\nepochs = 3\nbatch_size = 8\n' "$model" "$data" >"$work/settings"
alone --config "$work/settings" --epochs 2
equal "the command line goes before the settings file" 2 "$(grep -c '^Epoch' "$work/out")"
echo "epochz = 1" >>"$work/settings"
alone --config "$work/settings"
equal "an unknown name in the settings file is wrong usage" 2 $code
contains "the known name that is close is told" "did you mean '--epochs'" "$(cat "$work/out")"

alone "$model" --plan --ranks 64 --ranks-per-node 8 --batch-size 1024 --pipeline 2 --dump-graph "$work/graph.dot" --json "$work/plan.json"
equal "64 ranks are planned without starting them" 0 $code
contains "the plan tells its mesh" "(32 data x 2 pipeline x 1 tensor)" "$(cat "$work/out")"
contains "the plan predicts a step" "Predicted: a step (train) in" "$(cat "$work/out")"
contains "the graph is written for Graphviz" "digraph" "$(head -n 3 "$work/graph.dot")"
contains "the predictions are written for programs" '"rank_weight_bytes"' "$(cat "$work/plan.json")"
timeout 20 $program "${srcdir:-.}/tests/bench/models/w5_deep_mlp.json" --plan --ranks 256 --ranks-per-node 16 --batch-size 4096 \
    --data-parallel 32 --pipeline 4 --tensor 2 >"$work/out" 2>&1
equal "256 ranks of a large model are planned in seconds" 0 $?
contains "its plan tells all ranks" "-255 " "$(cat "$work/out")"
train 2 --plan --dump-program "$work/program.%r"
equal "--plan under mpirun plans for the ranks started" 0 $code
equal "--plan with %r writes each rank's program" 2 "$(find "$work" -name 'program.[01]' | wc -l | tr -d ' ')"
train 2 --validation-split 0.2 --profile "$work/profile.%r"
equal "each rank writes what its kernels took" 2 "$(find "$work" -name 'profile.[01]' | wc -l | tr -d ' ')"
equal "the fields have names" "mode seconds runs phase op inputs outputs layer" "$(head -n 1 "$work/profile.0" | tr '\t' ' ')"
equal "kernels of the steps and of the evaluation have run, in times that are positive" "evaluate train" \
    "$(awk -F'\t' '$5 == "matmul" && $2 > 0 && $3 >= 1 { print $1 }' "$work/profile.1" | sort -u | xargs)"
equal "the slowest come first" 0 "$(awk -F'\t' '$1 == "train" { if (n++ && $2 > last) wrong++; last = $2 } END { print wrong + 0 }' "$work/profile.0")"
job 2 "$model" --data random:50 --verbose 2
contains "random data have as many rows as asked for" "training on 50 samples in random" "$(cat "$work/out")"
job 2 "${srcdir:-.}/tests/bench/models/w1_mlp.json" --data random:8 --batch-size 8 --threads-per-rank 1
equal "what all ranks find in the model is said once" 1 "$(grep -c 'loss_weights of output' "$work/out")"
OMP_DISPLAY_ENV=verbose train 2 --plan --threads-per-rank 4096
if grep -q GOMP_SPINCOUNT "$work/out"; then
    equal "threads that outnumber the processors do not spin" 2 "$(grep -c "GOMP_SPINCOUNT = '0'" "$work/out")"
    OMP_DISPLAY_ENV=verbose GOMP_SPINCOUNT=77 train 2 --plan --threads-per-rank 4096
    equal "unless the user says how long" 2 "$(grep -c "GOMP_SPINCOUNT = '77'" "$work/out")"
else
    echo "skip: how threads wait: this OpenMP is not libgomp"
fi
alone --help
equal "help is no failure" 0 $code

# --- checkpoints ---

checkpointed() { train "$@" --checkpoint "$work/saved" --checkpoint-every 3; }

train 1 --epochs 4 --reproducible 8 --output "$work/whole.keras"
checkpointed 4 --epochs 2 --reproducible 8
equal "checkpoints are written while four ranks train" 0 $code
checkpointed 4 --epochs 2 --reproducible 8
equal "an earlier run's checkpoints are not overwritten unasked" 2 $code
contains "the refusal names --resume" "--resume" "$(grep '^kpar_train: ' "$work/out")"
checkpointed 2 --epochs 4 --reproducible 8 --resume --output "$work/resumed.keras" --log "$work/one.csv"
equal "two ranks go on where four stopped" 0 $code
contains "a resumed run says from where" "resumed from $work/saved/step-00000009 at step 9" "$(cat "$work/out")"
alone --compare "$work/whole.keras" "$work/resumed.keras"
equal "a resumed run has the bits of one that never stopped" 0 $code
equal "a resumed run's log keeps the rows of the epochs before" "0 1 2 3" "$(tail -n +2 "$work/one.csv" | cut -d , -f 1 | xargs)"
checkpointed 2 --epochs 4 --resume --learning-rate 0.7
equal "a resume with another optimizer is refused" 2 $code
contains "the refusal tells what differs" "optimizer is" "$(cat "$work/out")"
train 2 --resume --checkpoint "$work/fresh"
contains "a resume from nothing starts afresh and says so" "$work/fresh: no checkpoint yet" "$(cat "$work/out")"

# The rank's own process gets the signal: mpirun's ranks write their numbers.
"$run" 2 sh -c "echo \$\$ >>'$work/pids'; exec $program '$model' --data '$data' --epochs 1000000000 --verbose 0 --checkpoint '$work/stopped'" \
    >"$work/out" 2>&1 &
waits=0
while [ ! -d "$work/stopped" ] && [ $waits -lt 300 ]; do sleep 0.1; waits=$((waits + 1)); done
sleep 1
kill -USR1 "$(head -n 1 "$work/pids")"
wait $!
equal "a signal to one rank stops all after a checkpoint" 75 $?
contains "a stopped run says how to go on" "start again with --resume" "$(cat "$work/out")"
equal "a stopped run leaves a checkpoint" 1 "$(find "$work/stopped" -name 'manifest.json' | wc -l | tr -d ' ')"

# --- bad input at four ranks ---

old=$work/old.keras
cp "$work/one.keras" "$old"
cp "$old" "$work/old.copy"
# bad SENTENCE CODE LINE ARGUMENT...: one line of ours that has LINE in it, this code, and the old output stays.
bad_of() {
    sentence=$1 expected=$2 line=$3
    lines=$(grep '^kpar_train: ' "$work/out")
    equal "$sentence: code" "$expected" $code
    equal "$sentence: one line" 1 "$(printf '%s\n' "$lines" | grep -c '^kpar_train: ')"
    contains "$sentence: says so" "$line" "$lines"
    cmp -s "$old" "$work/old.copy"
    equal "$sentence: the old output stays" 0 $?
    cp "$work/old.copy" "$old"
}
bad() { sentence=$1 expected=$2 line=$3; shift 3; job 4 "$@" --output "$old" --verbose 0; bad_of "$sentence" "$expected" "$line"; }
five() { sentence=$1 expected=$2 line=$3; shift 3; job 5 "$@" --output "$old" --verbose 0; bad_of "$sentence" "$expected" "$line"; }

# array FILE TYPE SHAPE: an .npy of what is read.
array() {
    head="{'descr': '$2', 'fortran_order': False, 'shape': $3, }"
    { printf '\223NUMPY\001\000\166\000'; printf '%-117s\n' "$head"; cat; } >"$1"
}
zeros() { head -c "$1" /dev/zero; }
# folder NAME WIDTH ROWS: data that fit the model when WIDTH is 12; labels are those read.
folder() {
    mkdir -p "$work/$1"
    zeros $((4 * $2 * $3)) | array "$work/$1/x.npy" '<f4' "($3, $2)"
    array "$work/$1/y.npy" '<i4' "($3,)"
}
zeros 160 | folder good 12 40
zeros 160 | folder wide 13 40
folder empty 12 0 </dev/null
{ zeros 148; printf '\005\000\000\000'; zeros 8; } | folder labels 12 40
zeros 160 | folder nan 12 40
{ zeros 16; printf '\000\000\300\177'; zeros 1900; } | array "$work/nan/x.npy" '<f4' "(40, 12)"

bad "a missing model" 1 "nothing.keras" nothing.keras --data "$data"
bad "missing data" 1 "nothing.npz" "$model" --data nothing.npz
head -c 9000 "$model" >"$work/short.keras"
bad "a truncated model" 1 "short.keras" "$work/short.keras" --data "$data"
head -c 1000 "$data" >"$work/short.npz"
bad "truncated data" 1 "short.npz" "$model" --data "$work/short.npz"
bad "data that do not fit the model" 1 "(40, 13)" "$model" --data "$work/wide"
bad "empty data" 1 "no rows" "$model" --data "$work/empty"
bad "labels out of range" 1 "row 37 has label 5" "$model" --data "$work/labels"
bad "weights for a loss of one value" 1 "output 'areas' (Dice): its one value" "$cases/loss_overlap_whole/model.keras" \
    --data "$cases/fit_overlap_batch/data.npz"
zeros 160 | folder weights 12 40
zeros 320 | array "$work/weights/sample_weight.npy" '<f4' "(40, 2)"
bad "several weights a row" 1 "array 'sample_weight' has shape (40, 2), expected (40,): a weight for each row" \
    "$model" --data "$work/weights"
weighed=$cases/weights_steps w=sample_weight
few=$w/loose,$w/pixels,$w/places all=$few,$w/shares,$w/sizes,$w/tags
bad "weights of other steps" 1 "array 'sample_weight/sizes' has shape (40, 6), expected (40,): a weight for each row, or (40, 4): a" \
    "$weighed/model.keras" --data "$weighed/data.npz" --sample-weight "$w/alike,$w/sizes,$all"
bad "weights of rows whose sum would divide" 1 \
    "expected (40, 4): a weight for each value of the loss; $weighed/model.keras: loss of output 'shares'" \
    "$weighed/model.keras" --data "$weighed/data.npz" --sample-weight "$w/alike,$w/kinds,$few,$w/alike,$w/sizes,$w/tags"
bad "weights of steps for a metric of whole rows" 1 \
    "array 'sample_weight/kinds' has shape (40, 4), expected (40,): a weight for each row; $weighed/model.keras: metric of output 'alike'" \
    "$weighed/model.keras" --data "$weighed/data.npz" --sample-weight "$w/kinds,$w/kinds,$all"
bad "weights of classes of steps" 1 "output 'alike' has a class for each of its values (batch, 4)" \
    "$weighed/model.keras" --data "$weighed/data.npz" --class-weight 0=2
bad "values that are no numbers" 1 "step 1: the loss is not finite; the first values that are not finite come from layer 'dense';" \
    "$model" --data "$work/nan" --batch-size 40
cat >"$work/scaled.json" <<'EOF'
{"loss": "sparse_categorical_crossentropy", "optimizer": {"module": "keras.optimizers", "class_name": "LossScaleOptimizer",
 "config": {"inner_optimizer": {"module": "keras.optimizers", "class_name": "Nadam", "config": {}}}}}
EOF
bad "an optimizer whose state Keras does not save all" 1 "LossScaleOptimizer): around Nadam it is not supported" \
    "$model" --data "$data" --compile "$work/scaled.json"
bad "values that are no numbers at any scale of the loss" 1 \
    "step 150: a gradient is not finite, however small the loss scale; the first values that are not finite come from layer 'dense';" \
    "$cases/opt_scaled/model.keras" --data "$work/nan" --batch-size 40 --epochs 200 --pipeline 2 --microbatches 4
bad "values that are no numbers, in a pipeline" 1 "step 1: the loss is not finite; the first values that are not finite come from layer 'dense';" \
    "$model" --data "$work/nan" --batch-size 40 --pipeline 2 --microbatches 4
bad "values that are no numbers, in a pipeline of four stages" 1 "step 1: the loss is not finite; the first values that are not finite come from layer 'dense';" \
    "$model" --data "$work/nan" --batch-size 40 --pipeline 4 --microbatches 4 --schedule gpipe
bad "a mesh that does not multiply to the ranks" 2 "mesh: 3 data x 1 pipeline x 1 tensor is 3 ranks, there are 4" \
    "$model" --data "$data" --data-parallel 3
five "more stages than the model can be cut into" 2 "stages" "$model" --data "$data" --pipeline 5
bad "a stage that begins with no layer" 2 "no layer 'a'" "$model" --data "$data" --stages a,b,c
bad "an unknown option" 2 "unknown option '--frobnicate'" "$model" --data "$data" --frobnicate
bad "an option's wrong value" 2 "--epochs: expected an integer, found 'x'" "$model" --data "$data" --epochs x
bad "a log without a folder" 1 "nowhere/log.csv" "$model" --data "$data" --log nowhere/log.csv
bad "predictions without a folder" 1 "nowhere/p.npy" "$model" --data "$data" --epochs 1 --predict nowhere/p.npy
job 4 "$model" --data "$data" --output "$work/nowhere/o.keras" --epochs 1000000000
bad_of "an output without a folder" 1 "nowhere/o.keras"
equal "an output without a folder: nothing was trained" 0 "$(grep -c Epoch "$work/out")"

# differs RANK ARGUMENT: the arguments of one rank are others.
differs() {
    "$run" 4 sh -c "rank=\${OMPI_COMM_WORLD_RANK:-\$PMI_RANK}; set -- --data '$work/good'; [ \$rank = $1 ] && set -- $2
        exec $program '$model' \"\$@\" --output '$old' --verbose 0" >"$work/out" 2>&1
    code=$?
}
differs 2 "--data gone.npz"
bad_of "a rank that cannot read its data" 1 "rank 2 on $(hostname): gone.npz"
differs 1 "--data '$work/good' --frobnicate"
bad_of "a rank with an option of its own that is unknown" 2 "--frobnicate"
differs 3 "--data '$work/good' --batch-size 16"
bad_of "a rank with another batch size" 2 "rank 3 has batch size 16, rank 0 has batch size 32"
differs 1 "--data '$work/good' --epochs 7"
bad_of "a rank that trains for longer" 2 "rank 1 has epochs 7, rank 0 has epochs 1"
differs 2 "--data '$data'"
bad_of "a rank with other data" 2 "rank 2 has data with hash"
differs 3 "--data '$work/good' --learning-rate 0.7"
bad_of "a rank with another optimizer" 2 "rank 3 has the model with hash"

# Archives that need rewriting.
if "${PYTHON:-python3}" - "$model" "$work" <<'PYTHON_END'
import sys, zipfile
model, work = sys.argv[1:]
source = zipfile.ZipFile(model)
config = source.read("config.json")
def rewrite(name, new):
    with zipfile.ZipFile(f"{work}/{name}", "w") as out:
        for item in source.namelist():
            out.writestr(item, new if item == "config.json" else source.read(item))
rewrite("unknown.keras", config.replace(b'"class_name": "Dense"', b'"class_name": "Magic"', 1))
rewrite("shape.keras", config.replace(b'"units": 16', b'"units": 17', 1))
with zipfile.ZipFile(f"{work}/bomb.keras", "w", zipfile.ZIP_DEFLATED) as out:
    out.writestr("metadata.json", "{}")
    with out.open("config.json", "w") as member:
        for _ in range(1024):
            member.write(b" " * (1 << 20))
    out.writestr("model.weights.h5", b"")
PYTHON_END
then
    bad "an unknown layer" 1 "layer 'dense' (Magic): this layer is not supported" "$work/unknown.keras" --data "$data"
    bad "weights of a wrong shape" 1 "expected shape (12, 17), found (12, 16)" "$work/shape.keras" --data "$data"
    bad "a zip bomb" 1 "config.json declares 1073741824 bytes" "$work/bomb.keras" --data "$data"
else
    echo "skip: archives that need rewriting: no Python here"
fi

# Ranks that know nothing of each other: each thinks that it is the only one.
env -u PMI_RANK SLURM_STEP_NUM_TASKS=4 SLURM_NTASKS=4 SLURM_PROCID=0 timeout 60 $program "$model" --data "$data" >"$work/out" 2>&1
code=$?
bad_of "srun without MPI support" 2 "srun --mpi=pmix"
env -u PMI_RANK SLURM_STEP_NUM_TASKS=4 SLURM_NTASKS=4 SLURM_PROCID=1 timeout 60 $program "$model" --data "$data" >"$work/out" 2>&1
equal "the other ranks of such a job say nothing" "" "$(cat "$work/out")"
# A batch script's own programs see the number of tasks of the job.
env SLURM_NTASKS=4 SLURM_PROCID=0 timeout 60 $program "$model" --data "$data" --evaluate >"$work/out" 2>&1
equal "one rank within a batch job is one rank" 0 $?

[ $failures -eq 0 ]
