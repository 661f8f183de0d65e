#!/bin/sh
# docs/options.md is what the programs' own tables of options say. `make update-docs` writes it anew.
print() {
    echo "# Options"
    echo
    echo "Made from the programs' own tables by \`make update-docs\`; \`--help\` prints the same."
    for program in kpar_train kpar_bench kparrun; do
        [ -x ./$program ] || continue
        printf '\n## %s\n\n' $program
        ./$program --help-markdown
    done
}
if [ "$1" = --print ]; then print; exit; fi
print | diff "${srcdir:-.}/docs/options.md" - && exit 0
echo "docs/options.md differs from the programs: make update-docs"
exit 1
