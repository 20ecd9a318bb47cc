//! Sequences of calls against a plain map, with small tables and hashes that collide.

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

/// Which bits of the hash are kept: all; none; no bucket bits; bucket bits only; two of each; two hashes.
const KEPT: [u64; 6] = [!0, 0, !0 << 40, 0xFF << 32, 1 << 63 | 1 << 32, 1 << 32];

struct Present {
    version: u32,
    number: FlowCounterId,
    packets: u64,
}

proptest! {
    #[test]
    fn the_table_answers_as_a_map_does(
        steps in prop::collection::vec(step(), 0..150),
        kept in prop::sample::select(&KEPT),
        capacity in 1..20_u32,
        search in prop::sample::select(searches()),
    ) {
        let owning = Owning::new();
        let table = owning.forwarding(capacity, FlowHash::keeping(kept));
        let mut model: HashMap<u32, Present> = HashMap::new();
        let mut reader = table.reader().with_search(search);
        let mut worker = table.counters().worker();
        let spare = Counters::new(1).open().unwrap();
        for (step, version) in steps.into_iter().zip(0..) {
            let full = model.len() == capacity as usize;
            match step {
                Step::Publish(n) => {
                    let exists = model.contains_key(&n);
                    let number = if exists || full { spare } else { table.alloc_counter().unwrap() };
                    let expected = match () {
                        () if exists => Err(PublishError::Exists(flow(n))),
                        () if full => Err(PublishError::Full(capacity)),
                        () => {
                            model.insert(n, Present { version, number, packets: 0 });
                            Ok(())
                        }
                    };
                    prop_assert_eq!(table.publish(owning.entry(number, n, version).to_be_made()), expected);
                }
                Step::Replace(n) => {
                    let present = model.get_mut(&n);
                    let number = present.as_ref().map_or(spare, |p| p.number);
                    let result = table.replace(owning.entry(number, n, version).to_be_made());
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
                        prop_assert_eq!(table.counters().totals(present.number).packets, present.packets);
                        prop_assert!(table.free_counter(present.number));
                    }
                }
                Step::Lookup(n) => {
                    let found = reader.lookup(&flow(n)).map(|e| (super::version(e, n), e.number()));
                    prop_assert_eq!(found, model.get(&n).map(|p| (p.version, p.number)));
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
                        worker.add(entry.number(), Counter::Packets, count);
                        present.packets += count;
                    }
                }
            }
            prop_assert_eq!(table.len(), model.len());
        }
        for (n, present) in &model {
            prop_assert_eq!(super::version(reader.lookup(&flow(*n)).unwrap(), *n), present.version);
            prop_assert_eq!(table.counters().totals(present.number).packets, present.packets);
        }
    }
}
