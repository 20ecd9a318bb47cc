//! The words that the claim protocol accesses, by name.

use super::*;
use crate::handle::descriptor;
use crate::sync::stepping;

/// A word of the claim protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Word {
    /// The state word of a slot.
    State(u32),
    /// The claim word of a slot.
    Claim(u32),
    /// An owner word.
    Owner(ResourceId),
    /// A word of a descriptor: see the picture in `descriptor.rs`.
    Descriptor { thread_id: u16, word: &'static str },
}

/// Returns the word at an address that a stepping hook received.
fn word_at<T>(table: &OwnershipTable<T>, address: usize) -> Option<Word> {
    let in_slots = (0..table.raw.allocator.high_water()).find_map(|index| {
        let slot = table.raw.array.get(index)?;
        if slot.state().address() == address {
            return Some(Word::State(index));
        }
        (slot.claim().0.address() == address).then_some(Word::Claim(index))
    });
    let in_owner_words = || {
        (0..)
            .map(ResourceId)
            .map_while(|id| Some((id, table.owners().stepped(id)?)))
            .find_map(|(id, word)| (word.address() == address).then_some(Word::Owner(id)))
    };
    let in_descriptors = || {
        (0..).zip(descriptor::all()).find_map(|(thread_id, descriptor)| {
            let (word, _) = descriptor.words().into_iter().find(|(_, w)| w.address() == address)?;
            Some(Word::Descriptor { thread_id, word })
        })
    };
    in_slots.or_else(in_owner_words).or_else(in_descriptors)
}

#[test]
fn every_stepped_access_is_to_a_word_of_the_protocol() {
    let table = Arc::new(OwnershipTable::with_limit(4).unwrap());
    let (handle, resource) = (table.insert(()).unwrap(), table.new_resource().unwrap());
    let seen = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let (names, log) = (table.clone(), seen.clone());
    stepping::set(move |access, address| {
        if access != stepping::Access::Fence {
            log.borrow_mut().push(word_at(&names, address).expect("a word of the claim protocol"));
        }
    });
    table.claim(handle, resource).unwrap();
    stepping::clear();
    let seen = seen.borrow();
    assert_eq!(seen[..3], [Word::Owner(resource), Word::State(0), Word::Claim(0)]);
    assert!(matches!(seen[3], Word::Descriptor { word: "sequence", .. }));
    assert_eq!(seen.iter().filter(|word| **word == Word::Claim(0)).count(), 3);
}
