#!/bin/sh
# The same bits however a run is laid out, and through what ends it: a killed rank, damaged checkpoints, another mesh on
# the way, another instruction set.
. "$(dirname "$0")/assert.sh"
run=$(dirname "$0")/run.sh
program=./kpar_train
cases=${srcdir:-.}/tests/cases/data/opt_adam
LIMIT=60 SHOW=1
export LIMIT SHOW

"$run" 1 true >/dev/null || { echo "no mpirun starts here"; exit 77; }

# train RANKS ARGUMENT...: for so many epochs, of 5 steps; sets code, output in $work/out.
train() {
    ranks=$1
    shift
    "$run" "$ranks" $program "$cases/model.keras" --data "$cases/data.npz" --batch-size 8 --epochs "$epochs" --reproducible 8 --verbose 2 \
        "$@" >"$work/out" 2>&1
    code=$?
}
# same SENTENCE FILE: it has the bits of the run on one rank that never stopped.
same() {
    timeout 60 $program --compare "$work/whole.keras" "$2" >"$work/out" 2>&1
    equal "$1: the same bits" 0 $?
}
# goes_on SENTENCE FOLDER RANKS ARGUMENT...: from a copy of the checkpoints to the end; what it says in $work/said.
goes_on() {
    sentence=$1 folder=$2
    shift 2
    rm -rf "$work/copy"
    cp -r "$folder" "$work/copy"
    train "$@" --checkpoint "$work/copy" --resume --output "$work/resumed.keras"
    equal "$sentence: trains to the end" 0 $code
    cp "$work/out" "$work/said"
    same "$sentence" "$work/resumed.keras"
}

# --- layouts, and other layouts on the way ---

# layouts WORDS ARGUMENTS...: a whole run on one rank and on each layout, half a run on 2 x 2 that goes on elsewhere.
layouts() {
    words=$1
    shift
    epochs=20
    train 1 --output "$work/whole.keras"
    equal "one rank$words: trains" 0 $code
    for layout in "$@"; do
        # shellcheck disable=SC2086 # words on purpose
        train $layout --output "$work/other.keras"
        same "$layout$words" "$work/other.keras"
    done
    epochs=10
    rm -rf "$work/half"
    train 4 --pipeline 2 --checkpoint "$work/half" --checkpoint-every 12
    equal "half a run on 2 x 2$words: trains" 0 $code
    epochs=20
    goes_on "from 2 x 2 to one rank$words" "$work/half" 1
    goes_on "from 2 x 2 to four replicas$words" "$work/half" 4
}
ONEDNN_MAX_CPU_ISA=AVX2
export ONEDNN_MAX_CPU_ISA
layouts ", oneDNN capped to AVX2" "3" "4 --pipeline 2 --schedule gpipe --zero 0"
unset ONEDNN_MAX_CPU_ISA
layouts "" "2 --zero 0" "3 --zero 1" "4 --zero 0" "2 --pipeline 2" "4 --pipeline 2 --zero 1"

# --- logs: of the whole epoch, whenever it was interrupted ---

epochs=3
for layout in 1 "4 --pipeline 2"; do
    # shellcheck disable=SC2086 # words on purpose
    { train $layout --log "$work/whole.csv"
        train $layout --log "$work/parts.csv" --checkpoint "$work/parts" --checkpoint-every 7 --steps 7
        train $layout --log "$work/parts.csv" --checkpoint "$work/parts" --resume --checkpoint-every 4 --steps 9
        train $layout --log "$work/parts.csv" --checkpoint "$work/parts" --resume; }
    equal "$layout, resumed twice: trains" 0 $code
    equal "$layout, resumed twice: the logs of a run that never stopped" "$(cat "$work/whole.csv")" "$(cat "$work/parts.csv")"
    rm -rf "$work/parts" "$work/parts.csv"
done

# --- what cannot give the same bits ---

# refused SENTENCE WORDS: wrong usage, said with these words.
refused() {
    equal "$1: refused" 2 $code
    contains "$1: said" "$2" "$(grep '^kpar_train: ' "$work/out")"
}
cp -r "$work/half" "$work/copy.other"
epochs=20
train 2 --checkpoint "$work/copy.other" --resume --threads-per-rank 2
refused "a reproducible resume with other threads" "reproducible is 8 leaves, tensor 1, threads 1"
"$run" 3 $program "$cases/model.keras" --data "$cases/data.npz" --batch-size 8 --epochs $epochs --verbose 0 \
    --checkpoint "$work/copy.other" --resume >"$work/out" 2>&1
equal "it goes on where the same bits are not asked for" 0 $?
rm -rf "$work/copy.other"
cp -r "$work/half" "$work/copy.other"
if ONEDNN_MAX_CPU_ISA=AVX2 "$run" 1 $program "$cases/model.keras" --data "$cases/data.npz" --batch-size 8 \
    --epochs $epochs --reproducible 8 --checkpoint "$work/copy.other" --resume >"$work/out" 2>&1; then
    echo "skip: reproducible runs on other instruction sets: oneDNN has none here that AVX2 caps"
else
    code=$(grep -c '^kpar_train: .*(avx2) here; bits would differ' "$work/out")
    equal "a reproducible resume on another instruction set: refused, said" 1 "$code"
    "$run" 2 sh -c "rank=\${OMPI_COMM_WORLD_RANK:-\$PMI_RANK}; [ \$rank = 0 ] || export ONEDNN_MAX_CPU_ISA=AVX2
        exec $program '$cases/model.keras' --data '$cases/data.npz' --reproducible 8" >"$work/out" 2>&1
    code=$?
    refused "ranks with different instruction sets" "rank 1 computes with 8 leaves"
fi

# --- damaged checkpoints ---

newest=$(basename "$(find "$work/half" -name 'step-*' | sort | tail -n 1)")
before=$(basename "$(find "$work/half" -name 'step-*' | sort | head -n 1)")
equal "two checkpoints are kept" "step-00000036 step-00000048" "$before $newest"

# damaged SENTENCE WORDS: half the run with its newest checkpoint damaged, said with these words.
damaged() {
    goes_on "$1" "$work/damaged" 4 --pipeline 2
    contains "$1: said" "$newest" "$(grep "$2" "$work/said")"
    contains "$1: the one before is used" "resumed from $work/copy/$before" "$(cat "$work/said")"
    rm -rf "$work/damaged"
}
cp -r "$work/half" "$work/damaged"
part=$work/damaged/$newest/rank-00000.bin
head -c 200 "$work/half/$newest/rank-00000.bin" >"$part"
damaged "a truncated checkpoint" "rank-00000.bin: has 200 bytes"
cp -r "$work/half" "$work/damaged"
{ head -c 200 "$work/half/$newest/rank-00000.bin"
    tail -c +201 "$work/half/$newest/rank-00000.bin" | head -c 1 | tr '\000-\377' '\001-\377\000'
    tail -c +202 "$work/half/$newest/rank-00000.bin"; } >"$part"
damaged "a flipped bit" "rank-00000.bin: the checksum of"

# --- a killed rank ---

# Ranks write their numbers; the last of them is killed in mid-training, once there is a checkpoint.
epochs=400
"$run" 4 sh -c "echo \$\$ >>'$work/pids'; exec $program '$cases/model.keras' --data '$cases/data.npz' --batch-size 8 --epochs $epochs \
    --reproducible 8 --verbose 0 --pipeline 2 --checkpoint '$work/killed' --checkpoint-every 7" >"$work/out" 2>&1 &
waits=0
while [ -z "$(find "$work/killed" -name manifest.json 2>/dev/null)" ] && [ $waits -lt 600 ]; do
    sleep 0.05
    waits=$((waits + 1))
done
kill -KILL "$(tail -n 1 "$work/pids")"
wait $!
code=$?
equal "a job of which a rank is killed fails" 1 $((code != 0))
train 1 --output "$work/whole.keras"
goes_on "after a kill on 2 x 2, on three ranks" "$work/killed" 3
contains "after a kill on 2 x 2, on three ranks: says from where" "resumed from $work/copy/step-" "$(cat "$work/said")"
goes_on "after a kill on 2 x 2, on 1 x 2" "$work/killed" 2 --pipeline 2

[ $failures -eq 0 ]
