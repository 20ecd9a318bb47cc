//! The two layouts of a slot: plain, or with a claim word.

use super::alive_count::{AboutCount, AliveCount, ExactCount};
use super::claim_word::{ClaimField, ClaimWord};
use super::handle::INDEX_BITS;
use super::label::{LabelField, LabelWord};
use super::owner_words::{self, OwnerWords};
use super::state_word::NIL;
use crate::cfg::handle::garbage_room;
use crate::sync::{Arc, Ordering};
use crossbeam_utils::CachePadded;

/// Determines what slots and tables have besides states and values.
pub trait Layout: Send + Sync + 'static {
    /// The bits that an index can have.
    const INDEX_BITS: u32;
    /// The largest limit of a table.
    const MAX_LIMIT: u32;
    /// A type without size that has the alignment of the slot.
    type Align: Default + Send + Sync;
    /// The claim word, if slots have one.
    type Claim: ClaimField;
    /// How the objects that are alive are counted.
    type Count: AliveCount;
    /// The order in which an insert makes its object visible.
    const PUBLISH: Ordering;
    /// The slots that a table of this limit has beside, for retired objects that wait for readers.
    fn garbage_room(limit: u32) -> u32;
    /// The label of an object, if slots have one.
    type Label: LabelField;
    /// The owner words, if the table has them.
    type OwnerWords: Default + Send + Sync;
}

/// The layout of a table without ownership: a slot is a state and a value.
#[derive(Debug)]
pub enum Plain {}

/// The layout of a table of objects that can own resources: a slot also has a claim word, and a cache line to itself.
#[derive(Debug)]
pub enum Claims {}

impl Layout for Plain {
    const INDEX_BITS: u32 = INDEX_BITS;
    const PUBLISH: Ordering = Ordering::Release;
    const MAX_LIMIT: u32 = NIL;
    type Align = ();
    type Claim = ();
    type Label = ();
    type Count = AboutCount;
    type OwnerWords = ();

    fn garbage_room(_limit: u32) -> u32 {
        0
    }
}

impl Layout for Claims {
    const INDEX_BITS: u32 = owner_words::SLOT_BITS;
    // An owner word has room for a slot's index plus one.
    const PUBLISH: Ordering = Ordering::SeqCst;
    const MAX_LIMIT: u32 = (1 << owner_words::SLOT_BITS) - 2;
    type Align = CachePadded<()>;
    type Claim = ClaimWord;
    type Label = LabelWord;
    type Count = ExactCount;
    type OwnerWords = Arc<OwnerWords>;

    fn garbage_room(limit: u32) -> u32 {
        garbage_room(limit)
    }
}
