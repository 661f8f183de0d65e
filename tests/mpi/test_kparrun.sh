#!/bin/sh
# kparrun with real ranks: exit codes, the failing rank on the last line, output folders, signals.
. "$(dirname "$0")/assert.sh"
shown=err
run=./kparrun
rank='rank=${OMPI_COMM_WORLD_RANK:-$PMI_RANK};'
unset SLURM_JOB_ID

$run -np 1 --dry-run true >"$work/out" 2>&1 || { cat "$work/out"; exit 77; } # no mpirun here

job() { timeout 60 $run "$@" >"$work/out" 2>"$work/err"; code=$?; last=$(tail -n 1 "$work/err"); }

job -np 3 sh -c "$rank echo out \$rank; echo err \$rank >&2"
equal "a job that succeeds ends with 0" 0 $code
equal "standard output comes through" "out 0 out 1 out 2" "$(sort "$work/out" | xargs)"
equal "standard error comes through" "err 0 err 1 err 2" "$(grep ^err "$work/err" | sort | xargs)"
equal "no word of mpirun comes through" "" "$(grep -v -e ^err -e ^kparrun: "$work/err")"
equal "that the user is root is not worth a word" 0 "$(grep -c 'root' "$work/err")"

job -n 1 true
equal "-n means -np" 0 $code

job -np 3 sh -c "$rank [ \$rank = 1 ] && { echo 'prog: no such file' >&2; exit 3; }; sleep 1"
equal "the job ends with the failing rank's code" 3 $code
contains "the last line names the failing rank and its message" "rank 1 on $(hostname) failed first: exit code 3: prog: no such file" "$last"
equal "the message stands there once more, and nothing else" 1 "$(grep -cv ^kparrun: "$work/err")"

job -np 3 --stop-timeout 1 sh -c "$rank [ \$rank = 2 ] && exit 4; exec sleep 50"
equal "ranks that go on after a failure are ended" 4 $code

job -np 2 sh -c "$rank [ \$rank = 1 ] && kill -9 \$\$; sleep 1"
equal "a killed rank's code is 128 + signal" 137 $code
contains "signal 9 is told as likely out of memory" "rank 1 on $(hostname) failed first: signal 9: killed, likely out of memory" "$last"

job -np 2 sh -c "exit 75"
equal "a stopped job's code is 75" 75 $code
contains "a job stopped after a checkpoint is not told as failed" "was stopped: exit code 75" "$last"

job -np 2 "$work/nothing"
equal "a program that is not there is code 127" 127 $code
contains "a program that is not there is named" "cannot run '$work/nothing'" "$last"

job -np 1 sh -c 'i=0; while [ $i -lt 400 ]; do echo "line $i of a long complaint" >&2; i=$((i + 1)); done; exit 5'
equal "a flood before the end does not hide the end" 5 $code
equal "a flood comes through complete" 400 "$(grep -c '^line .* complaint$' "$work/err")"

job -np 5 -H localhost:2 true
equal "too few slots are wrong usage" 2 $code
contains "too few slots are told with the option that helps" "-H localhost:5" "$last"

job -np 2 --dry-run prog 'a b'
contains "--dry-run prints the command" "--rank - prog 'a b'" "$(cat "$work/out")"

job -np 2 --output-filename "$work/logs" sh -c "$rank echo out \$rank; echo err \$rank >&2"
equal "each rank has a file for its output" "out 1" "$(cat "$work/logs/rank.1/stdout")"
equal "each rank has a file for its errors" "err 0" "$(cat "$work/logs/rank.0/stderr")"

# stopped SENTENCE SIGNAL: the launcher gets the signal once all ranks are there; sets code.
stopped() {
    $run -np 2 --stop-timeout 2 sh -c "$rank $2 echo ready >>'$work/ready'; while :; do sleep 0.1; done" \
        >"$work/out" 2>"$work/err" &
    launcher=$!
    turns=0
    while [ "$(wc -l 2>/dev/null <"$work/ready")" != 2 ] && [ $turns -lt 300 ]; do sleep 0.1; turns=$((turns + 1)); done
    rm -f "$work/ready"
    kill -"$1" $launcher
    wait $launcher
    code=$?
}
# No process of the job is left: each one has the folder's name in its command line.
survivors() {
    turns=0
    while pgrep -f "ready >>.$work" >/dev/null && [ $turns -lt 50 ]; do sleep 0.1; turns=$((turns + 1)); done
    pgrep -f "ready >>.$work" | wc -l
}
for signal in INT TERM HUP; do
    stopped $signal "trap 'exit 75' TERM;"
    equal "$signal gives the ranks time to end by themselves" 75 $code
    equal "$signal leaves no rank behind" 0 "$(survivors)"
done
stopped TERM "trap '' TERM;"
[ $code -ne 0 ]
equal "ranks that do not stop are killed" 0 $?
equal "ranks that do not stop leave nothing behind" 0 "$(survivors)"
stopped KILL ""
equal "no rank outlives a killed launcher" 0 "$(survivors)"

[ $failures -eq 0 ]
