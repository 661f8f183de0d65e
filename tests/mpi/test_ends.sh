#!/bin/sh
# Eight ranks of which one is killed, or whose launcher is interrupted, while they plan or save: the job ends within seconds,
# with one line that says why, and no rank is left.
. "$(dirname "$0")/assert.sh"
program=./kpar_train
small=${srcdir:-.}/tests/cases/data/opt_adam
large=${srcdir:-.}/tests/bench/models/w5_deep_mlp.json

./kparrun -np 1 --dry-run true >"$work/out" 2>&1 || { cat "$work/out"; exit 77; } # no mpirun here

# until COMMAND...: waits for it to succeed, for 20 seconds at most.
until_true() { turns=0; while ! "$@" && [ $turns -lt 400 ]; do sleep 0.05; turns=$((turns + 1)); done; }
are_started() { [ "$(wc -l 2>/dev/null <"$work/pids")" = 8 ]; }
is_saving() { [ -n "$(find "$work/saved" -name 'rank-*' 2>/dev/null)" ]; }
# Ranks that still run; one that nobody has waited for does not.
living() { for pid in $(cat "$work/pids"); do grep -s '^State:.[RSDT]' "/proc/$pid/status"; done | wc -l | tr -d ' '; }

are_gone() { [ "$(living)" = 0 ]; }

# start ARGUMENT...: eight ranks, which write their numbers.
start() {
    rm -rf "$work/pids" "$work/saved"
    timeout --foreground 60 ./kparrun -np 8 sh -c "echo \$\$ >>'$work/pids'; exec $program \"\$@\"" rank "$@" --threads-per-rank 1 --verbose 0 \
        >"$work/out" 2>&1 &
    launcher=$!
}
# ends SENTENCE SIGNAL PROCESS [BEGINNING]: once it has the signal. BEGINNING: of the launcher's line.
ends() {
    began=$(date +%s)
    kill -"$2" "$3"
    wait $launcher
    code=$?
    until_true are_gone # what MPICH kills last may outlive the launcher by a moment; within the same 10 seconds
    equal "$1: the job ends within 10 seconds" 1 $(($(date +%s) - began <= 10))
    equal "$1: no rank is left" 0 "$(living)"
    equal "$1: one line of the launcher says so" 1 "$(grep -c "^kparrun: ${4:-rank} " "$work/out")"
}
plan() { start "$large" --data random:64 --batch-size 64 --pipeline 8; until_true are_started; }
save() {
    start "$small/model.keras" --data "$small/data.npz" --epochs 1000000000 --checkpoint "$work/saved" --checkpoint-every 1 "$@"
    until_true is_saving
}

plan
ends "a rank killed while all plan" KILL "$(tail -n 1 "$work/pids")"
equal "a rank killed while all plan: its code" 137 $code
save
ends "a rank killed while all save" KILL "$(tail -n 1 "$work/pids")"
contains "a rank killed while all save: it is named" "failed first: signal 9" "$(tail -n 1 "$work/out")"
save
ends "an interrupt while all save" INT $launcher
equal "an interrupt while all save: its code says that a checkpoint was kept" 75 $code
save --stall-timeout 0.5
if is_open_mpi; then
    ends "a rank stopped while all save" STOP "$(tail -n 1 "$work/pids")"
    contains "a rank stopped while all save: one that waits says so" " has waited " "$(tail -n 1 "$work/out")"
else # MPICH leaves ranks no time to tell the launcher once one aborts: their own line has to do
    ends "a rank stopped while all save" STOP "$(tail -n 1 "$work/pids")" "no rank"
    contains "a rank stopped while all save: one that waits says so" " has waited " "$(cat "$work/out")"
fi

[ $failures -eq 0 ]
