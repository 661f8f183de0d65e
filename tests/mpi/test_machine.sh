#!/bin/sh
# What kpar_train finds on the machine: cores that ranks are bound to, little shared memory.
. "$(dirname "$0")/assert.sh"
run=$(dirname "$0")/run.sh
program=./kpar_train
model=${srcdir:-.}/tests/cases/data/opt_sgd/model.keras
data=${srcdir:-.}/tests/cases/data/opt_sgd/data.npz
LIMIT=60 SHOW=1
export LIMIT SHOW
rank='rank=${OMPI_COMM_WORLD_RANK:-$PMI_RANK};'

"$run" 1 true >/dev/null || { echo "no mpirun starts here"; exit 77; }

# --- cores ---

# bound MASK: two ranks, each on the processors that MASK says, in shell words.
bound() {
    "$run" 2 sh -c "$rank exec taskset -c $1 $program '$model' --data '$data' --batch-size 8" >"$work/out" 2>&1
    equal "two ranks on processors $1 train" 0 $?
}
first=$(sed -n 's/^Cpus_allowed_list:[[:space:]]*\([0-9]*\).*/\1/p' /proc/self/status)
if taskset -c "$first" true 2>/dev/null; then
    bound "$first"
    contains "two ranks on one core are told" "ranks 0-1 share core " "$(cat "$work/out")"
    contains "their threads are as many as their cores" "1 thread each on core " "$(cat "$work/out")"
    if taskset -c "$((first + 1))" true 2>/dev/null && ! grep -q "[,-]" "/sys/devices/system/cpu/cpu$first/topology/thread_siblings_list"; then
        bound "\$(($first + rank))"
        equal "two ranks with a core each are not" 0 "$(grep -c 'take turns' "$work/out")"
        contains "each core is named" "on core $first (rank 0), $((first + 1)) (rank 1)" "$(cat "$work/out")"
    fi
else
    echo "skip: taskset binds nothing here"
fi

# --- little shared memory ---

# tiny BYTES COMMAND...: with a /dev/shm of so many bytes, which only the command sees.
tiny() {
    bytes=$1
    shift
    unshare -m sh -c 'mount -t tmpfs -o size=$0 none /dev/shm && exec "$@"' "$bytes" "$@" >"$work/out" 2>&1
}
if ! is_open_mpi; then
    echo "skip: what Open MPI does with a tiny /dev/shm: this is another MPI"
elif tiny 64k true; then
    for transport in auto mpi; do
        tiny 64k timeout 60 ./kparrun -np 4 $program "$model" --data "$data" --batch-size 8 --verbose 0 --transport $transport
        equal "four ranks train with a tiny /dev/shm, transport $transport" 0 $?
        equal "one line says how" "kparrun: /dev/shm has 0 MiB left" "$(cut -d , -f 1 "$work/out" | sed 's/.*\(kparrun: \|; \)/kparrun: /')"
    done
    tiny 64k "$run" 2 $program "$model" --data "$data" --batch-size 8 --epochs 20
    equal "kpar needs none of it under mpirun" 0 $?
else
    echo "skip: a folder cannot be mounted here"
fi

[ $failures -eq 0 ]
