# Tests of the tree itself: the order of the folders, the exported symbols, the documented options.
dist_check_SCRIPTS += tests/check_headers.sh tests/check_layers.sh tests/check_options.sh tests/check_symbols.sh
TESTS += tests/check_headers.sh tests/check_layers.sh tests/check_options.sh tests/check_symbols.sh
tests/check_options.log: $(bin_PROGRAMS)
tests/check_symbols.log: libkpar.la
EXTRA_DIST += tests/valgrind.supp
