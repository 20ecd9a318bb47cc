//! One bucket array by itself: probing, overflow counts and growth.

use super::*;
use proptest::prelude::*;
use std::collections::HashMap;

/// Returns all indexes that a look-up of `hash` meets, sorted.
fn all(array: &BucketArray, hash: u64) -> Vec<u32> {
    let mut all = Vec::new();
    array.find(hash, |index| {
        all.push(index);
        None::<()>
    });
    all.sort_unstable();
    all
}

fn overflow_counts(array: &BucketArray) -> Vec<u64> {
    array.buckets.iter().map(|b| (writer_load(&b.lanes[LANES - 1]) & OVERFLOW) / OVERFLOW_ONE).collect()
}

#[test]
fn an_entry_past_a_full_bucket_is_found_and_wraps() {
    let array = BucketArray::of(2).unwrap();
    let hash = 7 << 32;
    (0..20).for_each(|index| assert!(array.insert(hash, index)));
    assert_eq!(all(&array, hash), Vec::from_iter(0..20));
    assert_eq!(overflow_counts(&array), [4, 0, 0, 12]);
    assert_eq!(all(&array, 11 << 32), [0_u32; 0], "another fingerprint");
}

#[test]
fn removing_keeps_probe_sequences_and_lowers_the_counts() {
    let array = BucketArray::of(2).unwrap();
    let hash = 8 << 32;
    (0..20).for_each(|index| assert!(array.insert(hash, index)));
    for index in 0..19 {
        assert!(array.remove(hash, index));
        assert!(!array.remove(hash, index));
        assert_eq!(all(&array, hash), Vec::from_iter(index + 1..20));
    }
    assert_eq!(overflow_counts(&array), [1, 1, 0, 0]);
    assert!(array.remove(hash, 19));
    assert_eq!(overflow_counts(&array), [0, 0, 0, 0]);
}

#[test]
fn a_saturated_overflow_count_stays_and_hides_no_entry() {
    let array = BucketArray::of(6).unwrap();
    let hash = 64 << 32;
    (0..500).for_each(|index| assert!(array.insert(hash, index)));
    assert_eq!(overflow_counts(&array)[..2], [255, 255]);
    (0..499).for_each(|index| assert!(array.remove(hash, index)));
    assert_eq!(all(&array, hash), [499]);
    assert_eq!(overflow_counts(&array)[0], 255);
}

#[test]
fn a_full_array_refuses_an_insert() {
    let array = BucketArray::of(1).unwrap();
    (0..16).for_each(|index| assert!(array.insert(u64::from(index) << 32, index)));
    assert!(!array.insert(0, 16));
    assert_eq!(all(&array, 15 << 32), [15], "every entry is in its home bucket");
    assert_eq!(overflow_counts(&array), [0, 0], "the refused insert counted no overflow");
}

#[test]
fn the_largest_index_fits() {
    let array = BucketArray::of(0).unwrap();
    let largest = (1 << 24) - 2;
    assert!(array.insert(u64::MAX, largest));
    assert!(array.replace(u64::MAX, largest, largest));
    assert_eq!(all(&array, u64::MAX), [largest]);
}

proptest! {
    /// With few hashes and many entries, the array holds what a map holds, through replacements and growth.
    #[test]
    fn an_array_holds_what_a_map_holds(steps in prop::collection::vec((0..4_u8, 0..6_u64, 0..40_u32), 0..200)) {
        let first = BucketArray::of(0).unwrap();
        let mut model = HashMap::new();
        for (step, hash, index) in steps {
            let hash = hash << 32 | 5;
            let array = first.current();
            match (step, model.get(&index)) {
                (0 | 1, None) => {
                    let array = match array.limit() {
                        limit if limit <= model.len() => array.grow().unwrap(),
                        _ => array,
                    };
                    prop_assert!(array.insert(hash, index));
                    model.insert(index, hash);
                }
                (2, Some(&hash)) => {
                    prop_assert!(array.replace(hash, index, index + 100));
                    prop_assert!(array.replace(hash, index + 100, index));
                }
                (3, Some(&hash)) => {
                    prop_assert!(array.remove(hash, index));
                    model.remove(&index);
                }
                _ => prop_assert!(!array.replace(hash, 99, 0) && !array.remove(hash, 99)),
            }
            let array = first.current();
            for (&index, &hash) in &model {
                prop_assert!(all(array, hash).contains(&index));
            }
            let held = array.buckets.iter().flat_map(|b| &b.lanes);
            let held = held.filter(|lane| super::index(writer_load(lane)).is_some());
            prop_assert_eq!(held.count(), model.len());
        }
    }
}
