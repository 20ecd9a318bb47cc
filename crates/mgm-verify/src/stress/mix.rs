//! How often each kind of call is made.

use crate::history::Call;
use anyhow::{Context, bail};
use rand::distr::weighted::WeightedIndex;

const KINDS: usize = Call::KINDS.len();

/// The weights of the kinds of calls, in the order of [`Call::KINDS`].
pub type Weights = WeightedIndex<u32>;

/// The named mixes: name, purpose, weights.
const NAMED: [(&str, &str, [u32; KINDS]); 7] = [
    //                                                         reg der take rel own res add del flow mem ent cli
    ("everything", "every call, about equally often", [4, 3, 8, 6, 4, 4, 10, 8, 4, 2, 2, 2]),
    ("churn", "clients come and go", [8, 8, 4, 4, 1, 4, 0, 0, 0, 0, 0, 1]),
    ("contended", "all clients want the same interfaces", [2, 2, 10, 10, 4, 0, 0, 0, 0, 0, 0, 0]),
    ("readers", "look-ups while little changes", [1, 1, 2, 2, 20, 20, 0, 0, 4, 2, 2, 2]),
    ("ownership", "take, release and owner_of", [2, 2, 8, 8, 8, 2, 0, 0, 0, 0, 0, 0]),
    ("membership", "joins and leaves, and the flows that follow", [1, 1, 3, 2, 0, 0, 14, 12, 6, 2, 2, 0]),
    ("handles", "clients come and go while walks show them", [6, 6, 2, 2, 0, 8, 0, 0, 0, 0, 0, 8]),
];

/// Returns the help text of `--mix`.
#[must_use]
pub fn help() -> String {
    let mut text = String::from("How often each kind of call is made. A name:\n");
    for (name, purpose, _) in NAMED {
        text.push_str(&format!("  {name}: {purpose}\n"));
    }
    text.push_str("or weights, as in take=5,release=5,owner_of=1; kinds that are left out are not called. The kinds are ");
    text.push_str(&Call::KINDS.join(", "));
    text
}

/// Parses a mix.
///
/// # Errors
/// If it is neither a name nor a list of weights, or if it makes no call.
pub fn weights(mix: &str) -> anyhow::Result<Weights> {
    let weights = match NAMED.iter().find(|(name, ..)| *name == mix) {
        Some((.., weights)) => *weights,
        None => listed(mix)?,
    };
    Weights::new(weights)
        .with_context(|| format!("the mix {mix:?} makes no call: give one kind a weight above 0"))
}

fn listed(mix: &str) -> anyhow::Result<[u32; KINDS]> {
    let mut weights = [0; KINDS];
    for part in mix.split(',') {
        let Some((name, weight)) = part.split_once('=') else {
            let names: Vec<_> = NAMED.iter().map(|(name, ..)| *name).collect();
            bail!(
                "{part:?} is neither the name of a mix ({}) nor a call with a weight, such as take=5",
                names.join(", ")
            );
        };
        let Some(kind) = Call::KINDS.iter().position(|kind| *kind == name.trim()) else {
            bail!("there is no call {name:?}: the calls are {}", Call::KINDS.join(", "));
        };
        weights[kind] =
            weight.trim().parse().with_context(|| format!("{weight:?} is no weight: give a whole number"))?;
    }
    Ok(weights)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_is_a_name_or_a_list_of_weights() {
        for (name, ..) in NAMED {
            weights(name).unwrap();
        }
        weights("take=5, release=2").unwrap();
        for wrong in ["", "take", "take=x", "give=1", "take=0", "everything,take=1"] {
            assert!(weights(wrong).is_err(), "{wrong:?}");
        }
    }
}
