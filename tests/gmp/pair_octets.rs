//! Reads settings, reports, queries and times from octets, and runs them with the router beside its plain model. The fuzz target
//! `gmp_querier` and an ordinary test run this.
//!
//! The first eight octets set the router up. Steps follow, each of a kind and what the kind needs; a number is taken modulo
//! what is possible. A sequence that ends within a step ends before it.

use super::model::{Family, Kind, Mode, Settings, Version};
use super::pair::{GROUPS, HOSTS, Pair, ROUTERS, SOURCES, Setup, Step, WireQuery};

/// More steps reach nothing new and take long to check.
const STEPS: usize = 60;

const KINDS: [Kind; 6] = [Kind::IsIn, Kind::IsEx, Kind::ToIn, Kind::ToEx, Kind::Allow, Kind::Block];

/// Reads numbers from octets.
struct Numbers<'a>(&'a [u8]);

impl Numbers<'_> {
    /// Returns a number below `end`.
    fn below(&mut self, end: usize) -> Option<usize> {
        self.0.split_off_first().map(|octet| usize::from(*octet) % end)
    }

    fn wide(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes([*self.0.split_off_first()?, *self.0.split_off_first()?]))
    }

    fn pick<T: Copy>(&mut self, all: &[T]) -> Option<T> {
        self.below(all.len()).map(|at| all[at])
    }

    /// Returns the sources of a set of bits.
    fn sources(&mut self) -> Option<Vec<usize>> {
        let bits = self.below(1 << SOURCES)?;
        Some((0..SOURCES).filter(|source| bits >> source & 1 == 1).collect())
    }

    fn setup(&mut self) -> Option<Setup> {
        let flags = self.below(256)?;
        let family = if flags & 1 == 0 { Family::Igmp } else { Family::Mld };
        let version = match (family, flags >> 4) {
            (Family::Igmp, 0) => Version::V1,
            (_, 1) => Version::V2,
            _ => Version::V3,
        };
        let robustness = 1 + self.below(7)? as u64;
        let query_interval = self.pick(&[20_000, 60_000, 125_000, 250_000])?;
        let response_interval = self.pick(&[1_000, 5_500, 10_000, 19_900])?;
        let last_member_interval = self.pick(&[500, 1_000, 3_000, 15_900])?;
        let settings = Settings {
            version,
            robustness,
            query_interval,
            response_interval,
            last_member_interval,
            last_member_count: self.pick(&[None, Some(1), Some(3)])?,
            startup_interval: query_interval / 4,
            startup_count: 1 + self.below(3)? as u64,
        };
        Some(Setup {
            family,
            mode: if flags & 2 == 0 { Mode::Querier } else { Mode::Listening },
            rank: self.below(ROUTERS + 1)?,
            settings,
            query: flags & 4 != 0,
            track_hosts: flags & 8 != 0,
        })
    }

    fn step(&mut self) -> Option<Step> {
        Some(match self.below(8)? {
            0 | 1 => {
                let host = self.below(HOSTS)?;
                let count = 1 + self.below(3)?;
                let record = |numbers: &mut Self| {
                    Some((numbers.pick(&KINDS)?, numbers.below(GROUPS)?, numbers.sources()?))
                };
                let records = (0..count).map(|_| record(self)).collect::<Option<Vec<_>>>()?;
                Step::Records { host, records }
            }
            2 => Step::Older {
                host: self.below(HOSTS)?,
                version: self.pick(&[Version::V1, Version::V2])?,
                group: self.below(GROUPS)?,
            },
            3 => Step::Leave { host: self.below(HOSTS)?, group: self.below(GROUPS)? },
            4 | 5 => Step::Query { from: self.below(ROUTERS)?, query: self.query()? },
            6 => Step::Pass(u64::from(self.wide()?) * 10),
            _ => Step::PassToEvent { before: self.below(3)? as u64 },
        })
    }

    fn query(&mut self) -> Option<WireQuery> {
        let group = self.below(GROUPS + 1)?;
        let flags = self.below(256)?;
        Some(WireQuery {
            version: self.pick(&[Version::V3, Version::V3, Version::V2, Version::V1])?,
            code: self.wide()?,
            group: (group < GROUPS).then_some(group),
            sources: self.sources()?,
            suppress: flags & 8 != 0,
            qrv: flags as u8 & 7,
            qqic: self.below(256)? as u8,
        })
    }
}

/// Runs the steps, and compares after each.
pub(crate) fn check(octets: &[u8]) {
    let mut numbers = Numbers(octets);
    let Some(setup) = numbers.setup() else { return };
    let mut pair = Pair::new(setup);
    pair.compare();
    for _ in 0..STEPS {
        let Some(step) = numbers.step() else { break };
        pair.step(&step);
        pair.compare();
    }
}
