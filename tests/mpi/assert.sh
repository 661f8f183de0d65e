# shellcheck shell=sh
# Sourced by the tests of programs: a folder for what they write, and what they say. A sentence that does not hold is followed
# by the output in $work/$shown, "out" or "err".
failures=0 shown=out
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT

fail() { # fail SENTENCE EXPECTED FOUND
    printf 'FAIL: %s\n  expected: %s\n  found:    %s\n' "$1" "$2" "$3"
    [ -s "$work/$shown" ] && sed 's/^/  output: /' "$work/$shown"
    failures=$((failures + 1))
}
equal() { if [ "$2" = "$3" ]; then echo "ok: $1"; else fail "$@"; fi; }
contains() { case $3 in *"$2"*) echo "ok: $1" ;; *) fail "$@" ;; esac; }

is_open_mpi() { "${MPIRUN:-mpirun}" --version 2>&1 | grep -q -e "Open MPI" -e OpenRTE; }
