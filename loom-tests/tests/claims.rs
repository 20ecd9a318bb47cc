//! The claim step. No epoch takes part: what is retired here stays in limbo until the end.

#![cfg(loom)]

use loom::thread;
use loom_tests::explore;
use mgm::handle::{ClaimError, Claims, Handle, HandleTable, ResourceId, RetireError};
use std::sync::Arc;

type Table = Arc<HandleTable<u32, Claims>>;

fn table() -> (Table, Handle, ResourceId) {
    let table = Arc::new(HandleTable::with_claims(2).unwrap());
    let (client, thing) = (table.insert(0).unwrap(), table.new_resource().unwrap());
    (table, client, thing)
}

fn stamp(table: &Table, thing: ResourceId) -> u64 {
    table.owners().word(thing).unwrap().stamp()
}

/// Either the client owns it and lives, or it is retired and owns nothing; whoever is told that a handle is stale finds
/// it stale.
#[test]
fn claim_and_retire() {
    explore("claim_and_retire", 5, || {
        let (table, client, thing) = table();
        let theirs = table.clone();
        let retiring = thread::spawn(move || theirs.check_and_retire(client));
        let claim = table.claim(client, thing);
        if claim.is_err() {
            assert!(!table.validate(client), "told that it is stale");
        }
        let retire = retiring.join().unwrap();
        match claim {
            Ok(_) => {
                assert_eq!(retire, Err(RetireError::StillOwns(1)));
                assert_eq!(table.owner_of(thing), Some(client));
                assert!(table.validate(client));
            }
            Err(error) => {
                assert_eq!((error, retire), (ClaimError::Stale, Ok(())));
                assert_eq!(table.owner_of(thing), None);
            }
        }
    });
}

/// Another client's slot is used again in the middle of a claim: the next one in it has nothing that it did not ask for.
#[test]
fn claim_and_reuse() {
    explore("claim_and_reuse", 4, || {
        let table = Arc::new(HandleTable::with_claims(1).unwrap());
        let client = table.insert(1).unwrap();
        let thing = table.new_resource().unwrap();
        let theirs = table.clone();
        let other = thread::spawn(move || {
            theirs.check_and_retire(client).ok()?;
            theirs.insert(2).ok()
        });
        let claim = table.claim(client, thing);
        if let Some(next) = other.join().unwrap() {
            assert_eq!(claim, Err(ClaimError::Stale));
            assert_eq!(table.owner_of(thing), None);
            assert_eq!(table.check_and_retire(next), Ok(()));
        }
    });
}

/// Two clients want the same thing: one gets it and the other is told who. The one that did not get it never held
/// anything, whatever it was in the middle of.
#[test]
fn claim_and_claim() {
    explore("claim_and_claim", 5, || {
        let (table, red, thing) = table();
        let blue = table.insert(1).unwrap();
        let theirs = table.clone();
        let other = thread::spawn(move || theirs.claim(red, thing));
        let mine = table.claim(blue, thing);
        if mine.is_ok() {
            assert_eq!(table.check_and_retire(red), Ok(()), "red never held anything");
        }
        let other = other.join().unwrap();
        match (mine, other) {
            (Ok(_), Err(error)) => assert!(matches!(error, ClaimError::Stale | ClaimError::Owned(_))),
            (Err(ClaimError::Owned(holder)), Ok(_)) => assert_eq!(holder, red),
            both => panic!("{both:?}"),
        }
    });
}

/// One client claims the same thing twice at once: one claim succeeds.
#[test]
fn claim_twice() {
    explore("claim_twice", 5, || {
        let (table, client, thing) = table();
        let before = stamp(&table, thing);
        let theirs = table.clone();
        let other = thread::spawn(move || theirs.claim(client, thing).is_ok());
        let mine = table.claim(client, thing).is_ok();
        assert!(mine != other.join().unwrap(), "one of the two");
        assert_eq!(stamp(&table, thing), before + 1);
        assert_eq!(table.check_and_retire(client), Err(RetireError::StillOwns(1)));
    });
}

/// One client claims different things from two threads, each in the other's way and helped along; what is counted is
/// what is owned.
#[test]
fn helping() {
    explore("helping", 4, || {
        let (table, client, first) = table();
        let (second, third) = (table.new_resource().unwrap(), table.new_resource().unwrap());
        let theirs = table.clone();
        let other = thread::spawn(move || {
            assert!(theirs.claim(client, first).is_ok());
            assert!(theirs.claim(client, second).is_ok());
        });
        assert!(table.claim(client, third).is_ok());
        other.join().unwrap();
        assert_eq!(table.check_and_retire(client), Err(RetireError::StillOwns(3)));
        for thing in [first, second, third] {
            assert_eq!(table.owner_of(thing), Some(client));
            assert!(table.release(client, thing).is_ok());
        }
        assert_eq!(table.check_and_retire(client), Ok(()));
    });
}

/// A claim and a release of the same thing by one client: each success changes the stamp once, and nothing else does.
#[test]
fn claim_and_release() {
    explore("claim_and_release", 5, || {
        let (table, client, thing) = table();
        let before = stamp(&table, thing);
        let theirs = table.clone();
        let other = thread::spawn(move || theirs.release(client, thing).is_ok());
        assert!(table.claim(client, thing).is_ok());
        let released = other.join().unwrap();
        assert_eq!(stamp(&table, thing), before + 1 + u64::from(released));
        assert_eq!(table.owner_of(thing), (!released).then_some(client));
        let held = if released { Ok(()) } else { Err(RetireError::StillOwns(1)) };
        assert_eq!(table.check_and_retire(client), held);
    });
}

/// A release and a check-and-retire: retired only after the release, and the thing is free then.
#[test]
fn release_and_retire() {
    explore("release_and_retire", 5, || {
        let (table, client, thing) = table();
        table.claim(client, thing).unwrap();
        let theirs = table.clone();
        let retiring = thread::spawn(move || {
            let retire = theirs.check_and_retire(client);
            if retire.is_ok() {
                assert_eq!(theirs.owner_of(thing), None);
            }
            retire
        });
        assert!(table.release(client, thing).is_ok());
        assert_eq!(table.owner_of(thing), None);
        match retiring.join().unwrap() {
            Ok(()) => assert_eq!(table.check_and_retire(client), Err(RetireError::Stale)),
            Err(error) => {
                assert_eq!(error, RetireError::StillOwns(1));
                assert_eq!(table.check_and_retire(client), Ok(()));
            }
        }
    });
}

/// A thing goes from one client to another while a third thread asks who owns it.
#[test]
fn owner_of() {
    explore("owner_of", 5, || {
        let (table, red, thing) = table();
        let blue = table.insert(1).unwrap();
        table.claim(red, thing).unwrap();
        let theirs = table.clone();
        let passing = thread::spawn(move || {
            theirs.release(red, thing).unwrap();
            theirs.check_and_retire(red).unwrap();
            theirs.claim(blue, thing).unwrap();
        });
        let (first, second) = (table.owner_of(thing), table.owner_of(thing));
        let order = [Some(red), None, Some(blue)];
        let at = |owner| order.iter().position(|known| *known == owner).expect("one of the three");
        assert!(at(first) <= at(second));
        passing.join().unwrap();
        assert_eq!(table.owner_of(thing), Some(blue));
    });
}
