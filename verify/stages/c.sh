# The C interface.
# shellcheck shell=bash

stage_c() {
    crates/mgm-capi/check
    explored "$(grep -c '^--- ' "$work/$stage.log") checks"
}
