#!/bin/sh
# Lets Keras load what kpar writes. Skipped where the Python named by PYTHON has no Keras.
srcdir=${srcdir:-.}
set --
for case in "$srcdir"/tests/cases/data/*; do
    case $case in
    */loss_* | */lr_* | */metrics_*) ;; # these differ in their compile config alone
    */format_*) ;;        # and these have no model.keras
    *) set -- "$@" "$case" ;;
    esac
done
exec "${PYTHON:-python3}" "$srcdir/tests/cases/round_trip.py" tests/cases/copy_model "$@"
