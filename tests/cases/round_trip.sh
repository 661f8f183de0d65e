#!/bin/sh
# Lets Keras load what kpar writes. Skipped where the Python named by PYTHON has no Keras.
srcdir=${srcdir:-.}
exec "${PYTHON:-python3}" "$srcdir/tests/cases/round_trip.py" tests/cases/copy_model "$srcdir"/tests/cases/data/*
