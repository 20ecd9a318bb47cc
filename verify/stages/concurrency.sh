# Stages for what happens between threads: loom, sanitizers, and the planted bugs that all checks have to detect.
# shellcheck shell=bash disable=SC2154

# Loom can report "passed" without having explored anything. The answers to the three ways in which it does:
# - A load that it does not see: it keeps the last access of each object only, so a model in which a thread only reads may be
#   one execution. Every model runs a second time with its loads made as fetch_add(0), which always count (src/sync.rs), and has to
#   explore at least five executions then (loom-tests/src/lib.rs). Both runs are demanded, as such loads read only the newest
#   value.
# - A run that a bound on branches, time or permutations cuts short passes: no such bound is set but max_branches, which panics,
#   and the executions of each model are printed and summed here.
# - A complaint may come from the teardown: a planted bug counts as detected only by the first complaint of the model's own
#   thread, and neither by "too few" executions nor by a build that fails (loom-tests/run).
stage_loom() {
    # In a campaign the bugs are a stage of their own.
    loom-tests/run ${long:+--long} ${campaign:+--models}
    local executions models
    executions=$(sed -nE 's/^MODEL .*: ([0-9]+) executions.*/\1/p' "$work/$stage.log" | sum)
    models=$(sed -nE 's/^MODEL ([^:]*):.*/\1/p' "$work/$stage.log" | sort -u | wc -l)
    [ "$models" -ge 20 ] || { echo "only $models models ran" >&2; return 1; }
    explored "$executions executions of $models models, both ways"
}

# Builds the instrumented program, once in a run, and sets `instrumented`.
instrumented_program() {
    instrumented=$work/mgm-instrumented
    verify/instrumented build --release --quiet --bin mgm
    cp target/release/mgm "$instrumented"
}

# stress_detects BUG MIX: whether mgm stress detects the active bug, and after how many calls.
stress_detects() {
    local bug=$1 mix=$2 seed report status
    for seed in 1 2 3; do
        status=0
        report=$(cd "$work" && MGM_PLANTED_BUG=$bug timeout --kill-after=1 $((BUG_SECONDS + 60)) "$instrumented" stress --mix "$mix" --seed $seed --seconds "$BUG_SECONDS" --json 2>/dev/null) || status=$?
        case $status in
            0) ;;
            1) echo "stress --mix $mix --seed $seed: $(field count <<<"$report" | sum) calls"; return 0 ;;
            # The program ran with other arguments than it has, or does not know the bug.
            2 | 125) echo "stress ended with code $status" >&2; return 1 ;;
            # A program that does not end, because a call waits for an owner that has left, is a detection, too.
            124 | 137) echo "stress --mix $mix --seed $seed: did not end"; return 0 ;;
            # Memory used after it was freed may end the program by any signal or a panic.
            *) echo "stress --mix $mix --seed $seed: ended with code $status"; return 0 ;;
        esac
    done
    return 1
}

# test_detects BUG TEST: whether the test of verify/bugs.tsv fails with its complaint.
test_detects() {
    local bug=$1 arguments=${2%%|*} complaint=${2#*|} output
    local cargo=(verify/instrumented)
    # The one bug that is chosen when compiling.
    if [ "$bug" = extra-load ]; then cargo=(env RUSTC_WORKSPACE_WRAPPER="$PWD/verify/rustc-extra-load" cargo) bug=; fi
    # shellcheck disable=SC2086
    if output=$(env ${bug:+MGM_PLANTED_BUG=$bug} "${cargo[@]}" ${arguments%% *} --quiet ${arguments#* } 2>&1); then return 1; fi
    grep -q "$complaint" <<<"$output" || { tail -n 20 <<<"$output" >&2; return 1; }
    echo "${arguments//--test/test}"
}

stage_bugs() {
    local loom=$work/bugs.loom model=$work/bugs.model reason
    loom-tests/run --bugs | tee "$loom" || true
    cargo test --release --quiet --package mgm-claim-model every_planted_bug -- --nocapture | tee "$model"
    instrumented_program
    local bug promise file name pattern mix test detected missed=0 bugs=0 detections=0 all
    while IFS=$'\t' read -r -u3 bug promise file name pattern mix test; do
        detected=()
        if reason=$(grep -m1 "^caught $bug by $name " "$loom"); then detected+=("loom $name"); fi
        if [ "$pattern" != - ] && grep -q "^$pattern: not " "$model"; then detected+=("model $pattern"); fi
        # With a bug of the claim step active, the conformance tests pass if the code leaves the model.
        if [ "$pattern" != - ] && MGM_PLANTED_BUG=$bug verify/instrumented test --quiet --lib handle::conformance; then detected+=(conformance); fi
        if [ "$mix" != - ] && reason=$(stress_detects "$bug" "$mix"); then detected+=("$reason"); fi
        if [ "$test" != - ] && reason=$(test_detects "$bug" "$test"); then detected+=("$reason"); fi
        all=$(printf '%s; ' "${detected[@]-}")
        printf 'BUG %-28s %s  %s\n' "$bug" "$promise" "${all%; }"
        detections=$((detections + ${#detected[@]}))
        bugs=$((bugs + 1))
        if [ ${#detected[@]} -eq 0 ]; then
            echo "NOT CAUGHT: $bug by $name"
            missed=1
        fi
    done 3< <(grep -v '^#' verify/bugs.tsv)
    explored "$(grep -v '^#' verify/bugs.tsv | cut -f1 | sort -u | wc -l) planted bugs in $bugs patterns, detected $detections times"
    # Each bug of the code is in the list.
    local unlisted
    unlisted=$(comm -23 <(sed -nE '/^const BUGS/,/^\]/s/^ *"(.*)",/\1/p' src/planted.rs | sort -u) <(cut -f1 verify/bugs.tsv | sort -u))
    [ -z "$unlisted" ] || { echo "not in verify/bugs.tsv: $unlisted"; missed=1; }
    return $missed
}

stage_fuzz() { fuzzed "$FUZZ_SECONDS"; }
stage_schedules() { fuzzed "$FUZZ_SECONDS" claim_schedules; }
fuzzed() {
    fuzz/run "$@"
    explored "$(grep -oE '[0-9]+ executions' "$work/$stage.log" | sum) executions of $(grep -cE '[0-9]+ executions' "$work/$stage.log") targets"
}

target() { rustc -vV | sed -n 's/^host: //p'; }

# RUSTC_BOOTSTRAP lets the stable compiler instrument. Leaks are looked for at the end of each process. Objects that statics still
# reach (the epoch's collector and its garbage) are no leaks; those left allocated on purpose are in verify/lsan.suppressions.
stage_asan() {
    local target
    target=$(target)
    export RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address CARGO_TARGET_DIR=$work/asan
    export ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1
    export LSAN_OPTIONS="suppressions=$PWD/verify/lsan.suppressions print_suppressions=0"
    cargo build --release --quiet --target "$target" --bin mgm
    local mgm=$CARGO_TARGET_DIR/$target/release/mgm report calls passes
    report=$("$mgm" stress --seconds "$SANITIZER_SECONDS" --threads 8 --json)
    calls=$(field count <<<"$report" | sum)
    passes=$((SANITIZER_SECONDS * 20))
    "$mgm" forward --churn 2 --threads 3 --repeat "$passes" "$capture" --json >/dev/null
    # Without C programs that are linked to libmgm: the stage `c` has those under the sanitizer.
    cargo test --quiet --no-fail-fast --target "$target" --lib --tests
    explored "$(tests_passed) tests, $calls calls, $passes passes with churn"
}

# The standard library is not instrumented, and the sanitizer does not understand fences. crossbeam-epoch does without them when it
# is built for this sanitizer. The fences of this project order atomics only, in the claim step's descriptors and in the
# counters' blocks; no plain memory depends on them, so their absence causes no report. `--cfg tsan` replaces std's OnceLock
# by one that the sanitizer sees (src/sync.rs). The reports left out are in verify/tsan.suppressions, with reasons.
stage_tsan() {
    local target
    target=$(target)
    export RUSTC_BOOTSTRAP=1 RUSTFLAGS='-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer --cfg tsan' CARGO_TARGET_DIR=$work/tsan
    export TSAN_OPTIONS="suppressions=$PWD/verify/tsan.suppressions halt_on_error=1 exitcode=66 second_deadlock_stack=1"
    cargo build --release --quiet --target "$target" --bin mgm
    local mgm=$CARGO_TARGET_DIR/$target/release/mgm report calls=0 mix passes
    for mix in $(mixes); do
        report=$("$mgm" stress --mix "$mix" --threads 4 --seconds "$SANITIZER_SECONDS" --json)
        calls=$((calls + $(field count <<<"$report" | sum)))
    done
    passes=$((SANITIZER_SECONDS * 10))
    "$mgm" forward --churn 2 --threads 3 --repeat "$passes" "$capture" --json >/dev/null
    # Its memory is the sanitizer's, so growth (code 3) means nothing; the enumerations and walks are what is tested.
    "$mgm" soak --churn 1 --seconds "$SANITIZER_SECONDS" "$capture" --json >/dev/null || [ $? -eq 3 ]
    local planted=
    # Without --campaign left to loom, which detects that bug as well.
    if [ -n "$campaign" ]; then
        planted_is_reported publish-relaxed ThreadSanitizer
        planted='; the planted bug is reported'
    fi
    explored "$calls calls, $passes passes with churn, $SANITIZER_SECONDS s of soak$planted"
}

# The sanitizer that is set up reports a planted bug: in a soak, whose walks read clients that other threads have just
# registered or are about to deregister, or in mgm stress.
planted_is_reported() {
    local bug=$1 sanitizer=$2 output
    verify/instrumented build --release --quiet --target "$target" --bin mgm
    local mgm=$CARGO_TARGET_DIR/$target/release/mgm capture=$PWD/$capture
    output=$(cd "$work" && export MGM_PLANTED_BUG=$bug && { "$mgm" soak --churn 3 --seconds 20 "$capture" --json || "$mgm" stress --mix churn --threads 4 --seconds 20 --json; } 2>&1 >/dev/null) || true
    if grep -m1 "$sanitizer" <<<"$output"; then
        echo "reported: $bug by $sanitizer"
    else
        echo "NOT CAUGHT: $bug by $sanitizer"
        return 1
    fi
}
