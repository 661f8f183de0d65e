#!/bin/sh
# From a fresh clone on Debian to a trained model: installs what is missing, builds kpar, trains the digits model on
# four ranks laid out as 2 data x 2 pipeline, and leaves digits.keras in the current folder.
. "$(dirname "$0")/common.sh"
here=$PWD
# shellcheck disable=SC2086 # words on purpose
need_packages $build_packages
need_configure
build "$top/build/demo" || die "the build failed"
cd "$here"
exec "$top/examples/digits/run.sh" "$top/build/demo"
