#!/bin/sh
# Trains model.keras on digits.npz with four ranks: 2 data x 2 pipeline. Writes digits.keras to the current folder.
#
#     run.sh [FOLDER]    FOLDER has kparrun and kpar_train; without it they are looked for in PATH
set -eu
here=$(cd "$(dirname "$0")" && pwd)
[ $# -eq 0 ] || PATH=$1:$PATH
set -x
exec kparrun -np 4 kpar_train "$here/model.keras" --data "$here/digits.npz" --x x_train --y y_train \
    --validation "$here/digits.npz" --validation-x x_test --validation-y y_test \
    --data-parallel 2 --pipeline 2 --microbatches 4 --batch-size 64 --epochs 20 --seed 1 --output digits.keras
