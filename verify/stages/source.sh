# Stages that read or build the source: formatting, language, dependencies, lints, documentation, features.
# shellcheck shell=bash disable=SC2154

stage_format() {
    cargo fmt --all --check
    cargo fmt --manifest-path loom-tests/Cargo.toml --check
    cargo fmt --manifest-path fuzz/Cargo.toml --check
    explored "$(git ls-files '*.rs' | wc -l) files"
}

# Comments and pages name the thread, the client or the slot that acts. Sentences about persons are counted.
stage_language() {
    local limit=20 words='who(se|ever)|(no|some|any)body|h(e|is|im)' found count
    found=$(
        {
            git ls-files --cached --others --exclude-standard | grep -E '\.(rs|c|h|md|toml|sh|py)$' || true
            # Scripts without an extension.
            git ls-files --cached --others --exclude-standard | grep -vE '\.[^/]*$' | xargs -d '\n' grep -lsm1 '^#!' || true
        } | grep -v '^LICENSE' | sort -u | xargs -d '\n' grep -nosiP "(?<![a-z])($words)(?![a-z])" || true
    )
    count=$(grep -c . <<<"$found" || true)
    if [ "$count" -gt "$limit" ]; then
        head -n 30 <<<"$found"
        cut -d: -f1 <<<"$found" | sort | uniq -c | sort -rn | head -n 20
        echo "$count words of persons, more than $limit"
        return 1
    fi
    # Names of tests are sentences of at most 60 characters.
    git ls-files --cached --others --exclude-standard '*.rs' | xargs -d '\n' awk '
        FNR == 1 { after = 0 }
        /#\[test\]/ { after = 5; next }
        after > 0 {
            after--
            if (match($0, /fn [a-z0-9_]+/)) {
                name = substr($0, RSTART + 3, RLENGTH - 3); after = 0
                if (length(name) > 60) { print FILENAME ": a test name of " length(name) " characters: " name; bad = 1 }
            }
        }
        END { exit bad }'
    explored "$count words of persons, at most $limit"
}

stage_handle_alone() {
    local limit=6 packages
    # Each package once, the library itself is the first.
    packages=$(cargo tree --package multicast-group-manager --no-default-features --edges normal --prefix none --no-dedupe | awk '{ print $1 }' | sort -u)
    echo "$packages"
    local count=$(($(wc -l <<<"$packages") - 1))
    [ "$count" -le "$limit" ] || { echo "$count dependencies, more than $limit"; return 1; }
    explored "$count dependencies, at most $limit"
}

stage_lints() {
    cargo clippy --workspace --all-targets -- -D warnings
    # The handle table alone, without the dependencies of the rest.
    cargo clippy --package multicast-group-manager --no-default-features --lib -- -D warnings
    explored "$(cargo metadata --no-deps --format-version 1 | grep -o '"manifest_path"' | wc -l) packages"
}

stage_docs() {
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --all-features
    explored 'no warnings'
}

stage_features() {
    cargo hack check --package multicast-group-manager --feature-powerset --no-dev-deps
    explored "$(grep -c '^info: running' "$work/$stage.log") sets of features"
}
