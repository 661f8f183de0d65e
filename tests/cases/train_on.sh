#!/bin/sh
# Lets Keras train on from where kpar stopped. Skipped where the Python named by PYTHON has no Keras.
srcdir=${srcdir:-.}
"$srcdir/tests/mpi/run.sh" 1 true >/dev/null || { echo "no mpirun starts here"; exit 77; }
set --
for case in "$srcdir"/tests/cases/data/*; do
    [ -e "$case/model.keras" ] && set -- "$@" "$case"
done
exec "${PYTHON:-python3}" "$srcdir/tests/cases/train_on.py" ./kpar_train "$srcdir/tests/mpi/run.sh" "$@"
