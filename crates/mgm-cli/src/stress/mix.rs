//! How often each kind of call is made.

use super::calls::Call;
use super::run::Weights;
use anyhow::{Context, bail};

const KINDS: usize = Call::KINDS.len();

/// The mixes that have a name, and what they are for. The numbers are weights of [`Call::KINDS`].
const NAMED: [(&str, &str, [u32; KINDS]); 6] = [
    //                                                        reg der take rel own res add del flow mem ent
    ("everything", "every call, about as often as any other", [4, 3, 8, 6, 4, 4, 10, 8, 4, 2, 2]),
    ("churn", "clients come and go", [8, 8, 4, 4, 1, 4, 0, 0, 0, 0, 0]),
    ("contended", "everybody wants the same interfaces", [2, 2, 10, 10, 4, 0, 0, 0, 0, 0, 0]),
    ("readers", "look-ups while little changes", [1, 1, 2, 2, 20, 20, 0, 0, 4, 2, 2]),
    ("ownership", "take and release, and who has what", [2, 2, 8, 8, 8, 2, 0, 0, 0, 0, 0]),
    ("membership", "receivers come and go, and the flows that follow", [1, 1, 3, 2, 0, 0, 14, 12, 6, 2, 2]),
];

/// What `--mix` may be.
pub(crate) fn help() -> String {
    let mut text = String::from("What is called how often. A name:\n");
    for (name, what, _) in NAMED {
        text.push_str(&format!("  {name}: {what}\n"));
    }
    text.push_str("or weights, those left out being 0: take=5,release=5,owner_of=1. The calls are ");
    text.push_str(&Call::KINDS.join(", "));
    text
}

/// The weights of a mix.
pub(crate) fn weights(mix: &str) -> anyhow::Result<Weights> {
    let weights = match NAMED.iter().find(|(name, ..)| *name == mix) {
        Some((.., weights)) => *weights,
        None => listed(mix)?,
    };
    Weights::new(weights).with_context(|| format!("the mix {mix:?} calls nothing: give one call a weight"))
}

fn listed(mix: &str) -> anyhow::Result<[u32; KINDS]> {
    let mut weights = [0; KINDS];
    for part in mix.split(',') {
        let Some((name, weight)) = part.split_once('=') else {
            bail!("{part:?} is neither the name of a mix nor a call with a weight, like take=5");
        };
        let Some(kind) = Call::KINDS.iter().position(|kind| *kind == name.trim()) else {
            bail!("there is no call {name:?}: they are {}", Call::KINDS.join(", "));
        };
        weights[kind] = weight.trim().parse().with_context(|| format!("{weight:?} is not a weight"))?;
    }
    Ok(weights)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixes_have_names_or_weights() {
        for (name, ..) in NAMED {
            weights(name).unwrap();
        }
        weights("take=5, release=2").unwrap();
        for wrong in ["", "take", "take=x", "give=1", "take=0", "everything,take=1"] {
            assert!(weights(wrong).is_err(), "{wrong:?}");
        }
    }
}
