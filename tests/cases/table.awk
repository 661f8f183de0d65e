# The output of test_cases as a Markdown table: for each case and mesh the largest difference from Keras as a share of the
# case's tolerance, over all layouts on that mesh.
#
#     tests/cases/test_cases | awk -f tests/cases/table.awk
$1 == "ok" {
    name = $2
    mesh = $3
    gsub("x", "×", mesh)
    for (i = 4; i < NF && $(i + 1) != "of"; i++);
    if (!(name in known)) names[++n] = name
    known[name] = 1
    if (!((name, mesh) in worst) || $i > worst[name, mesh]) worst[name, mesh] = $i
    runs[mesh]++
    total++
}
$1 == "FAIL" { failed++ }
END {
    count = split("1×1×1 2×1×1 3×1×1 4×1×1 1×2×1 1×4×1 2×2×1 1×1×2 1×1×3 2×1×2 1×2×2 1×2×3 1×4×2 2×2×2", meshes)
    line = "| case |"
    rule = "| --- |"
    for (m = 1; m <= count; m++) {
        line = line " " meshes[m] " |"
        rule = rule " ---: |"
    }
    print line
    print rule
    for (k = 1; k <= n; k++) {
        line = "| " names[k] " |"
        for (m = 1; m <= count; m++) line = line " " ((names[k], meshes[m]) in worst ? worst[names[k], meshes[m]] : "") " |"
        print line
    }
    line = "| runs |"
    for (m = 1; m <= count; m++) line = line " " runs[meshes[m]] + 0 " |"
    print line
    printf "\n%d runs, %d outside their tolerance.\n", total + failed, failed
}
