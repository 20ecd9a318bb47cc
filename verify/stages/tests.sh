# Stages that run the tests: as the README has them, instrumented, and with many random cases; the explicit-state model.
# shellcheck shell=bash disable=SC2154

# Runs a command of the README.
readme_command() {
    grep -qxF "$1" README.md || { echo "README.md does not have the command: $1" >&2; return 1; }
    bash -c "$1"
}

# tests_with PATTERN: cargo's arguments for the test binaries with a file that has the pattern.
tests_with() {
    git grep -lE "$1" -- 'tests/*.rs' 'crates/*/tests/*.rs' | sed -nE 's#^(crates/[^/]+/)?tests/([^/.]+).*#\2#p' | grep -vx support | sort -u | sed 's/^/--test /' | xargs
}

stage_test() {
    readme_command 'cargo test'
    explored "$(tests_passed) tests"
}

# The scenarios fail without root: they say so.
stage_netns() {
    cargo test --quiet --package mgm-linux
    cargo test --quiet --package mgm-cli --test router
    explored "$(tests_passed) tests"
}

stage_model() {
    local states accesses
    if [ -n "$long" ]; then export MGM_LONG_MODELS=1; fi
    # Of the whole workspace, as in the stage `test`: the features of one package would have everything built again.
    cargo test --quiet --test promises --test store_buffers -- --nocapture
    cargo test --quiet --lib handle::conformance -- --nocapture
    states=$(grep -oE '[0-9]+ states' "$work/$stage.log" | sum)
    accesses=$(grep -oE '[0-9]+ accesses$' "$work/$stage.log" | sum)
    [ "$states" -ge 2800000 ] || { echo "only $states states were explored" >&2; return 1; }
    explored "$states states; $accesses accesses of the code, as the model makes them"
}

# The loom model of the rundown has real threads beside it: their test has to detect the planted bug, too.
stage_faults() {
    # shellcheck disable=SC2046
    verify/instrumented test --quiet $(tests_with '^#!\[cfg\(mgm_instrumented\)\]')
    local output
    if output=$(MGM_DEREGISTRATIONS=1000 MGM_PLANTED_BUG=rundown-late-entry verify/instrumented test --quiet --test manager rundown:: 2>&1); then
        echo 'NOT CAUGHT: rundown-late-entry by the test of the rundown' >&2
        return 1
    fi
    grep -m1 'called after deregister' <<<"$output" || { echo "$output" >&2; return 1; }
    explored "$(tests_passed) tests; the planted bug is detected"
}

stage_property() {
    # A few cases take less time than another build of the tests.
    local profile=()
    if [ -n "$campaign" ]; then profile=(--release); fi
    # shellcheck disable=SC2046
    MGM_MODEL_CASES=$MODEL_CASES PROPTEST_CASES=$MODEL_CASES cargo test "${profile[@]}" --quiet $(tests_with 'proptest!|MGM_MODEL_CASES')
    PROPTEST_CASES=$MODEL_CASES cargo test "${profile[@]}" --quiet --lib -- forwarding:: plane:: protocol:: wire::
    MGM_DEREGISTRATIONS=$DEREGISTRATIONS cargo test "${profile[@]}" --quiet --test manager rundown::
    local properties
    # Those of instrumented builds ran in the stage `faults`.
    properties=$(git grep -l 'proptest!' -- '*.rs' | xargs grep -L '^#!\[cfg(mgm_instrumented)\]' | xargs awk '/proptest!/ { on = 1 } on && /^ *fn .*in / { all++ } END { print all }')
    explored "$MODEL_CASES cases of each of $properties properties, $DEREGISTRATIONS deregistrations"
}
