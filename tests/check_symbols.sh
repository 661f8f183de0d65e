#!/bin/sh
# The shared library exports what include/kpar/ promises and nothing else.
srcdir=${srcdir:-$(dirname "$0")/..}
library=.libs/libkpar.so
[ -e "$library" ] || { echo "no shared library in this build"; exit 77; }
exported=$(nm -D --defined-only "$library" | awk '{ print $3 }' | sort)
status=0
for symbol in $exported; do
    case $symbol in
    kpar_*) grep -qw "$symbol" "$srcdir"/include/kpar/*.h ||
        { echo "$symbol is exported, but include/kpar/ does not declare it"; status=1; } ;;
    __asan_*|__ubsan_*|__odr_asan*) ;;
    *) echo "$symbol is exported, but is not called kpar_"; status=1 ;;
    esac
done
for symbol in $(sed -n 's/^KPAR_API.*[ *]\(kpar_[a-z0-9_]*\)(.*/\1/p' "$srcdir"/include/kpar/*.h); do
    printf '%s\n' "$exported" | grep -qx "$symbol" ||
        { echo "$symbol is declared KPAR_API in include/kpar/, but not exported"; status=1; }
done
exit $status
