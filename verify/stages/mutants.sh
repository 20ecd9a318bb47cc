# A mutant that no test notices has to be in verify/mutants.md, with the reason.
# shellcheck shell=bash disable=SC2154

stage_mutants() {
    command -v cargo-mutants >/dev/null || cargo install --locked --quiet cargo-mutants
    local room status out missed unknown=() found=()
    for room in '' -manager; do
        status=0 out=$work/mutants$room
        mkdir -p "$out"
        cargo mutants --config "verify/mutants$room.toml" --shard "$MUTANTS" --sharding round-robin -o "$out" --colors never || status=$?
        # 2: some were missed, 3: some timed out. Any other code is no result.
        case $status in 0 | 2 | 3) ;; *) return $status ;; esac
        lines() { wc -l <"$out/mutants.out/$1.txt"; }
        found+=("${room:+of the manager and forwarding }$(lines caught) caught, $(lines timeout) timed out, $(lines missed) missed, $(lines unviable) do not build")
        # Line numbers change and are left out.
        missed=$(sed -E 's/:[0-9]+:[0-9]+: / /' "$out/mutants.out/missed.txt" | grep -vxF -f <(sed -nE 's/^- `(.*)`.*/\1/p' verify/mutants.md) || true)
        if [ -n "$missed" ]; then unknown+=("$missed"); fi
    done
    explored "$(printf '%s; ' "${found[@]}")shard $MUTANTS"
    if [ ${#unknown[@]} -gt 0 ]; then printf 'missed, and not in verify/mutants.md:\n'; printf '%s\n' "${unknown[@]}"; return 1; fi
}
