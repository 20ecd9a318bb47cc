//! Sequences of calls on small tables with colliding hashes, compared with a map.

use super::*;
use proptest::prelude::*;
use std::collections::HashMap;

#[derive(Clone, Debug)]
enum Step {
    Publish(u32),
    Replace(u32),
    Withdraw(u32),
    Lookup(u32),
    Burst(Vec<u32>),
    NewReader,
    Count(u32, u64),
}

fn step() -> impl Strategy<Value = Step> {
    let n = || 0..24_u32;
    prop_oneof![
        4 => n().prop_map(Step::Publish),
        3 => n().prop_map(Step::Replace),
        2 => n().prop_map(Step::Withdraw),
        2 => n().prop_map(Step::Lookup),
        1 => prop::collection::vec(n(), 0..40).prop_map(Step::Burst),
        1 => Just(Step::NewReader),
        2 => (n(), 1..5_u64).prop_map(|(n, count)| Step::Count(n, count)),
    ]
}

/// The hash bits that are kept: all; none; all but the bucket bits; bucket bits only; a fingerprint bit and a
/// bucket bit; one bucket bit.
const KEPT_BITS: [u64; 6] = [!0, 0, !0 << 40, 0xFF << 32, 1 << 63 | 1 << 32, 1 << 32];

struct Present {
    version: u32,
    counter: FlowCounterId,
    packets: u64,
}

proptest! {
    #[test]
    fn the_table_answers_as_a_map(
        steps in prop::collection::vec(step(), 0..150),
        kept_bits in prop::sample::select(&KEPT_BITS),
        capacity in 1..20_u32,
        search in prop::sample::select(searches()),
    ) {
        let owner = Owner::new();
        let table = owner.forwarding(capacity, FlowHash::keeping(kept_bits));
        let mut model: HashMap<u32, Present> = HashMap::new();
        let mut reader = table.reader().with_search(search);
        let mut worker = table.counters().worker();
        let spare = Counters::new(1).alloc().unwrap();
        for (step, version) in steps.into_iter().zip(0..) {
            let full = model.len() == capacity as usize;
            match step {
                Step::Publish(n) => {
                    let exists = model.contains_key(&n);
                    let counter = if exists || full { spare } else { table.alloc_counter().unwrap() };
                    let expected = match () {
                        () if exists => Err(PublishError::Exists(flow(n))),
                        () if full => Err(PublishError::Full(capacity)),
                        () => {
                            model.insert(n, Present { version, counter, packets: 0 });
                            Ok(())
                        }
                    };
                    prop_assert_eq!(table.publish(owner.entry(counter, n, version).new_entry()), expected);
                }
                Step::Replace(n) => {
                    let present = model.get_mut(&n);
                    let counter = present.as_ref().map_or(spare, |p| p.counter);
                    let result = table.replace(owner.entry(counter, n, version).new_entry());
                    match present {
                        None => prop_assert_eq!(result, Err(PublishError::Missing(flow(n)))),
                        Some(present) => {
                            prop_assert_eq!(result, Ok(()));
                            present.version = version;
                        }
                    }
                }
                Step::Withdraw(n) => {
                    let present = model.remove(&n);
                    prop_assert_eq!(table.withdraw(&flow(n)), present.is_some());
                    if let Some(present) = present {
                        prop_assert_eq!(table.counters().totals(present.counter).packets, present.packets);
                        prop_assert!(table.free_counter(present.counter));
                    }
                }
                Step::Lookup(n) => {
                    let found = reader.lookup(&flow(n)).map(|e| (super::version(e, n), e.counter()));
                    prop_assert_eq!(found, model.get(&n).map(|p| (p.version, p.counter)));
                }
                Step::Burst(all) => {
                    let flows: Vec<_> = all.iter().map(|n| flow(*n)).collect();
                    let found = reader.lookup_burst(&flows).zip(&all).map(|(e, n)| e.map(|e| super::version(e, *n)));
                    let expected = all.iter().map(|n| model.get(n).map(|p| p.version));
                    prop_assert!(found.eq(expected));
                }
                Step::NewReader => reader = table.reader().with_search(search),
                Step::Count(n, count) => {
                    if let (Some(entry), Some(present)) = (reader.lookup(&flow(n)), model.get_mut(&n)) {
                        worker.add(entry.counter(), FlowCounter::Packets, count);
                        present.packets += count;
                    }
                }
            }
            prop_assert_eq!(table.len(), model.len());
        }
        for (n, present) in &model {
            prop_assert_eq!(super::version(reader.lookup(&flow(*n)).unwrap(), *n), present.version);
            prop_assert_eq!(table.counters().totals(present.counter).packets, present.packets);
        }
    }
}
