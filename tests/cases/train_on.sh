#!/bin/sh
# Lets Keras train on from where kpar stopped. Skipped where the Python named by PYTHON has no Keras.
srcdir=${srcdir:-.}
"$srcdir/tests/mpi/run.sh" 1 true >/dev/null || { echo "no mpirun starts here"; exit 77; }
exec "${PYTHON:-python3}" "$srcdir/tests/cases/train_on.py" ./kpar_train "$srcdir/tests/mpi/run.sh" "$srcdir"/tests/cases/data/*
