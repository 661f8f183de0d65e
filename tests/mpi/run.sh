#!/bin/sh
# run.sh RANKS PROGRAM [ARGUMENT...]: the program on so many ranks of this machine, however few cores it has, in a process
# group of its own and for at most $LIMIT seconds (120). Its output is shown only if it fails. Ends with the job's code.
ranks=$1
shift
OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_mpi_yield_when_idle=1
export OMPI_ALLOW_RUN_AS_ROOT OMPI_ALLOW_RUN_AS_ROOT_CONFIRM OMPI_MCA_rmaps_base_oversubscribe OMPI_MCA_mpi_yield_when_idle
output=$(mktemp) || exit 99
trap 'rm -f "$output"' EXIT
unset SLURM_JOB_ID
timeout -k 5 "${LIMIT:-120}" "${MPIRUN:-mpirun}" --bind-to none -np "$ranks" "$@" >"$output" 2>&1 </dev/null
code=$?
if [ $code -ne 0 ] || [ -n "${SHOW:-}" ]; then cat "$output"; fi
[ $code -ne 124 ] || echo "run.sh: stopped after ${LIMIT:-120} seconds"
exit $code
