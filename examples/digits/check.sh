#!/bin/sh
# Evaluates a trained model on the digits it has not seen; fails unless more than 95 % of them are told right.
#
#     check.sh TRAINED.keras [FOLDER]    FOLDER has kpar_train; without it it is looked for in PATH
set -eu
here=$(cd "$(dirname "$0")" && pwd)
[ $# -lt 2 ] || PATH=$2:$PATH
found=$(kpar_train "$1" --data "$here/digits.npz" --x x_test --y y_test --evaluate --verbose 2)
printf '%s\n' "$found"
printf '%s\n' "$found" | sed -n 's/.*accuracy: \([0-9.]*\).*/\1/p' | tail -n 1 |
    awk '{ right = $1 } END { if (right > 0.95) exit 0; print "expected an accuracy over 0.95, found " right; exit 1 }'
