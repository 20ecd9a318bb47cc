# Stages that run the program: the README's commands, stress, soak, and what was forwarded.
# shellcheck shell=bash disable=SC2154

stage_example() {
    readme_command 'cargo run --release -- forward examples/capture/router.pcapng'
    explored "$(grep -m1 ' packets, ' "$work/$stage.log")"
}

stage_stress() {
    readme_command 'cargo run --release -- stress --seconds 10'
    explored "$(grep -m1 ' windows' "$work/$stage.log")"
}

# A test ends with code 1 if its promise is broken, or if too few rounds count.
stage_litmus() {
    program
    # On a machine that does other work, the threads of a test seldom run at the same time.
    "$mgm" litmus --rounds "$LITMUS_ROUNDS" --seconds 8
    local rounds tests
    rounds=$(grep -oE '[0-9]+ rounds' "$work/$stage.log" | sum)
    tests=$(grep -cE '[0-9]+ rounds' "$work/$stage.log")
    [ "$tests" -ge 7 ] || { echo "only $tests tests ran" >&2; return 1; }
    explored "$rounds rounds of $tests pairs"
}

# The mixes of mgm stress.
mixes() { "$mgm" stress --help | sed -nE '/A name:/,/or weights/s/^ *([a-z]+): .*/\1/p'; }

# field NAME: the numbers of that field, of JSON that is printed over several lines.
field() { sed -nE "s/^ *\"$1\": ([0-9]+),?$/\\1/p"; }

stage_linearizability() {
    program
    local windows=0 mix threads report
    [ "$(mixes | wc -l)" -ge 7 ] || { echo 'mgm stress --help does not list its mixes as expected' >&2; return 1; }
    for mix in $(mixes); do
        for threads in 2 4 8; do
            report=$("$mgm" stress --mix "$mix" --threads "$threads" --seconds "$STRESS_SECONDS" --json)
            echo "$mix, $threads threads: $(field windows_checked <<<"$report") windows, $(field violations <<<"$report") violations, seed $(field seed <<<"$report")"
            windows=$((windows + $(field windows_checked <<<"$report")))
        done
    done
    explored "$windows windows of $(mixes | wc -l) mixes with 2, 4 and 8 threads"
}

stage_soak() {
    program
    "$mgm" soak "$capture" --seconds "$SOAK_SECONDS" --report "$work/soak.html" --json >"$work/soak.json"
    grep '"found"' "$work/soak.json"
    explored "$(field packets <"$work/soak.json" | head -1) packets in $SOAK_SECONDS s, $(field churn_operations <"$work/soak.json") operations; nothing grew; $work/soak.html"
}

stage_forward() {
    program
    local out
    out=$(mktemp -d)
    "$mgm" forward "$capture" --out "$out" --json >"$out/report.json"
    tests/independent/count.py "$capture" --against "$out/report.json"
    tests/independent/check-pcapng "$out" "$capture" "$out/report.json"
    tests/independent/cross-check "$capture" "$out/report.json"
    rm -r "$out"
    explored 'counts, frames and entries agree'
}
