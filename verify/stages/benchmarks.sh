# Stages that run the benchmarks. Nothing is timed.
# shellcheck shell=bash disable=SC2154

stage_benchmarks() {
    # Of criterion's rows the small ones: the report's check has all of them.
    cargo bench --quiet --package multicast-group-manager --features capture,serde --bench forward -- --test
    local rows
    rows=$(cargo bench --quiet --package multicast-group-manager --features capture,serde --bench peers -- --test 1k)
    benches/report --check
    explored "$(grep -c '^Success$' <<<"$rows") small rows; every row of the report gets the same results"
}

# A planted load has to exceed the limit of resolve. It is the only bug that is chosen when compiling.
stage_instructions() {
    local output
    cargo bench --quiet --package multicast-group-manager --features capture,serde --bench instructions
    if output=$(RUSTC_WORKSPACE_WRAPPER=$PWD/verify/rustc-extra-load cargo bench --quiet --package multicast-group-manager --features capture,serde --bench instructions 2>&1); then
        echo 'NOT CAUGHT: extra-load by the instruction counts' >&2
        return 1
    fi
    grep -A1 'instructions::resolve all_live:$' <<<"$output" | grep 'exceeds limit'
    explored "$(grep -c '^instructions::' "$work/$stage.log") paths; the planted load is detected"
}
