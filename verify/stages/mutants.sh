# A mutant that no test notices has to be in verify/mutants.md, with the reason.
# shellcheck shell=bash disable=SC2154

stage_mutants() {
    command -v cargo-mutants >/dev/null || cargo install --locked --quiet cargo-mutants
    local status=0 out=$work/mutants.out unknown
    cargo mutants --config verify/mutants.toml --shard "$MUTANTS" --sharding round-robin -o "$work" --colors never || status=$?
    # 2: some were missed, 3: some timed out. Any other code is no result.
    case $status in 0 | 2 | 3) ;; *) return $status ;; esac
    lines() { wc -l <"$out/$1.txt"; }
    # Line numbers change and are left out.
    unknown=$(sed -E 's/:[0-9]+:[0-9]+: / /' "$out/missed.txt" | grep -vxF -f <(sed -nE 's/^- `(.*)`.*/\1/p' verify/mutants.md) || true)
    explored "$(lines caught) caught, $(lines timeout) timed out, $(lines missed) missed, $(lines unviable) do not build (shard $MUTANTS)"
    if [ -n "$unknown" ]; then printf 'missed, and not in verify/mutants.md:\n%s\n' "$unknown"; return 1; fi
}
