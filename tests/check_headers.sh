#!/bin/sh
# Each public header compiles alone, without a warning, as C11 and as C++11.
srcdir=${srcdir:-$(dirname "$0")/..}
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
status=0 compilers=0

# check COMPILER STANDARD LANGUAGE: what every user of a header would see.
check() {
    command -v "$1" >/dev/null || return 0
    compilers=$((compilers + 1))
    for header in "$srcdir"/include/kpar/*.h; do
        printf '#include <kpar/%s>\nint main(void) { return kpar_error_message()[0]; }\n' "${header##*/}" >"$work/$3.source"
        "$1" -x "$3" -std="$2" -pedantic -Wall -Wextra -Wconversion -Wshadow -Werror -I"$srcdir/include" -fsyntax-only \
            "$work/$3.source" || { echo "kpar/${header##*/} is not clean $2 for $1"; status=1; }
    done
}

for compiler in gcc clang; do check $compiler c11 c; done
for compiler in g++ clang++; do check $compiler c++11 c++; done
[ $compilers -gt 0 ] || { echo "neither gcc nor clang here"; exit 77; }
exit $status
