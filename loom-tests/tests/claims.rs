//! The claim step. The epoch takes no part: retired slots stay in limbo until the end.

#![cfg(loom)]

use loom::thread;
use loom_tests::explore;
use mgm::handle::{ClaimError, Handle, OwnershipTable, ResourceId, RetireError};
use std::sync::Arc;

type Table = Arc<OwnershipTable<u32>>;

fn table() -> (Table, Handle, ResourceId) {
    let table = Arc::new(OwnershipTable::with_limit(2).unwrap());
    let (client, resource) = (table.insert(0).unwrap(), table.new_resource().unwrap());
    (table, client, resource)
}

fn stamp(table: &Table, resource: ResourceId) -> u64 {
    table.owners().word(resource).unwrap().stamp()
}

/// Either the client owns the resource and is live, or it is retired and owns nothing. A thread that gets Stale finds the handle
/// stale.
#[test]
fn claim_and_retire() {
    explore("claim_and_retire", 5, || {
        let (table, client, resource) = table();
        let shared = table.clone();
        let retiring = thread::spawn(move || shared.check_and_retire(client).map(drop));
        let claim = table.claim(client, resource);
        if claim.is_err() {
            assert!(!table.contains(client), "Stale for a live handle");
        }
        let retire = retiring.join().unwrap();
        match claim {
            Ok(_) => {
                assert_eq!(retire, Err(RetireError::StillOwns(1)));
                assert_eq!(table.owner_of(resource), Some(client));
                assert!(table.contains(client));
            }
            Err(error) => {
                assert_eq!((error, retire), (ClaimError::Stale, Ok(())));
                assert_eq!(table.owner_of(resource), None);
            }
        }
    });
}

/// A client's slot is reused during its claim: the next client in the slot owns nothing that it did not claim.
#[test]
fn claim_and_reuse() {
    explore("claim_and_reuse", 4, || {
        let table = Arc::new(OwnershipTable::with_limit(1).unwrap());
        let client = table.insert(1).unwrap();
        let resource = table.new_resource().unwrap();
        let shared = table.clone();
        let other = thread::spawn(move || {
            shared.check_and_retire(client).ok()?;
            shared.insert(2).ok()
        });
        let claim = table.claim(client, resource);
        if let Some(next) = other.join().unwrap() {
            assert_eq!(claim, Err(ClaimError::Stale));
            assert_eq!(table.owner_of(resource), None);
            assert_eq!(table.check_and_retire(next).map(drop), Ok(()));
        }
    });
}

/// Two clients claim the same resource: one owns it, and the other gets the owner's handle. The refused client never owned
/// anything, at any step of its claim.
#[test]
fn claim_and_claim() {
    explore("claim_and_claim", 5, || {
        let (table, red, resource) = table();
        let blue = table.insert(1).unwrap();
        let shared = table.clone();
        let other = thread::spawn(move || shared.claim(red, resource));
        let own = table.claim(blue, resource);
        if own.is_ok() {
            assert_eq!(table.check_and_retire(red).map(drop), Ok(()), "red never owned anything");
        }
        let other = other.join().unwrap();
        match (own, other) {
            (Ok(_), Err(error)) => assert!(matches!(error, ClaimError::Stale | ClaimError::Owned(_))),
            (Err(ClaimError::Owned(holder)), Ok(_)) => assert_eq!(holder, red),
            both => panic!("{both:?}"),
        }
    });
}

/// One client claims the same resource in two threads: one claim succeeds.
#[test]
fn claim_twice() {
    explore("claim_twice", 5, || {
        let (table, client, resource) = table();
        let before = stamp(&table, resource);
        let shared = table.clone();
        let other = thread::spawn(move || shared.claim(client, resource).is_ok());
        let own = table.claim(client, resource).is_ok();
        assert!(own != other.join().unwrap(), "one of the two");
        assert_eq!(stamp(&table, resource), before + 1);
        assert_eq!(table.check_and_retire(client).map(drop), Err(RetireError::StillOwns(1)));
    });
}

/// One client claims different resources in two threads, which meet each other's operations and help; the count is the number
/// of owned resources.
#[test]
fn helping() {
    explore("helping", 4, || {
        let (table, client, first) = table();
        let (second, third) = (table.new_resource().unwrap(), table.new_resource().unwrap());
        let shared = table.clone();
        let other = thread::spawn(move || {
            assert!(shared.claim(client, first).is_ok());
            assert!(shared.claim(client, second).is_ok());
        });
        assert!(table.claim(client, third).is_ok());
        other.join().unwrap();
        assert_eq!(table.check_and_retire(client).map(drop), Err(RetireError::StillOwns(3)));
        for resource in [first, second, third] {
            assert_eq!(table.owner_of(resource), Some(client));
            assert!(table.release(client, resource).is_ok());
        }
        assert_eq!(table.check_and_retire(client).map(drop), Ok(()));
    });
}

/// A claim and a release of the same resource by one client: each success changes the stamp once, and nothing else does.
#[test]
fn claim_and_release() {
    explore("claim_and_release", 5, || {
        let (table, client, resource) = table();
        let before = stamp(&table, resource);
        let shared = table.clone();
        let other = thread::spawn(move || shared.release(client, resource).is_ok());
        assert!(table.claim(client, resource).is_ok());
        let released = other.join().unwrap();
        assert_eq!(stamp(&table, resource), before + 1 + u64::from(released));
        assert_eq!(table.owner_of(resource), (!released).then_some(client));
        let held = if released { Ok(()) } else { Err(RetireError::StillOwns(1)) };
        assert_eq!(table.check_and_retire(client).map(drop), held);
    });
}

/// A release and a check-and-retire: the client is retired only after the release, when the resource is free.
#[test]
fn release_and_retire() {
    explore("release_and_retire", 5, || {
        let (table, client, resource) = table();
        table.claim(client, resource).unwrap();
        let shared = table.clone();
        let retiring = thread::spawn(move || {
            let retire = shared.check_and_retire(client).map(drop);
            if retire.is_ok() {
                assert_eq!(shared.owner_of(resource), None);
            }
            retire
        });
        assert!(table.release(client, resource).is_ok());
        assert_eq!(table.owner_of(resource), None);
        match retiring.join().unwrap() {
            Ok(()) => assert_eq!(table.check_and_retire(client).map(drop), Err(RetireError::Stale)),
            Err(error) => {
                assert_eq!(error, RetireError::StillOwns(1));
                assert_eq!(table.check_and_retire(client).map(drop), Ok(()));
            }
        }
    });
}

/// A resource changes its owner while another thread calls `owner_of`.
#[test]
fn owner_of() {
    explore("owner_of", 5, || {
        let (table, red, resource) = table();
        let blue = table.insert(1).unwrap();
        table.claim(red, resource).unwrap();
        let shared = table.clone();
        let passing = thread::spawn(move || {
            shared.release(red, resource).unwrap();
            shared.check_and_retire(red).unwrap();
            shared.claim(blue, resource).unwrap();
        });
        let (first, second) = (table.owner_of(resource), table.owner_of(resource));
        let order = [Some(red), None, Some(blue)];
        let at = |owner| order.iter().position(|known| *known == owner).expect("one of the three");
        assert!(at(first) <= at(second));
        passing.join().unwrap();
        assert_eq!(table.owner_of(resource), Some(blue));
    });
}

/// A label is read while its object is retired and the slot used again: the label of that object, or nothing.
#[test]
fn label() {
    explore("label", 3, || {
        let table = Arc::new(OwnershipTable::with_limit(1).unwrap());
        let client = table.insert_labelled(1, |_| ()).unwrap();
        let shared = table.clone();
        let other = thread::spawn(move || {
            shared.check_and_retire(client).unwrap();
            shared.insert_labelled(2, |_| ()).ok()
        });
        assert!(matches!(table.label(client), None | Some(1)));
        if let Some(next) = other.join().unwrap() {
            assert_eq!((table.label(next), table.label(client)), (Some(2), None));
        }
    });
}
