#!/bin/sh
# Includes follow the order of the folders: a file includes only from its own folder and from lower ones.
order="base tensor graph program device comm model keras parallel plan data run report train api"
programs="cli bench launch" # above everything, and apart from one another

cd "${srcdir:-$(dirname "$0")/..}" || exit 99
# A line of grep is: src/graph/op.c:#include "base/text.h"
wrong=$(grep -rHE '^ *# *include "[a-z]+/' --include='*.[ch]' src | awk -v order="$order" -v programs="$programs" '
    BEGIN {
        n = split(order, low, " ");     for (i = 1; i <= n; i++) level[low[i]] = i
        m = split(programs, high, " "); for (i = 1; i <= m; i++) level[high[i]] = 100
    }
    {
        split($0, line, ":"); split(line[1], path, "/"); split($0, quoted, "\""); split(quoted[2], target, "/")
        from = path[2]; to = target[1]
        if (!(from in level)) print line[1] ": src/" from "/ has no place in the order of tests/check_layers.sh"
        else if (!(to in level)) print line[1] ": \"" quoted[2] "\" is in no folder of src/"
        else if (from != to && level[to] >= level[from])
            print line[1] ": must not include \"" quoted[2] "\": " to "/ is not below " from "/"
    }')
mpi=$(grep -rlE '^ *# *include <mpi.h>' --include='*.[ch]' src | grep -vE '^src/(comm|api|cli|bench)/' |
    sed 's|$|: only comm/ and the programs may speak MPI|')
[ -z "$wrong$mpi" ] && exit 0
printf '%s\n' "$wrong" "$mpi" | sed '/^$/d'
exit 1
