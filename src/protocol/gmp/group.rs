//! [`GroupHosts`]: the hosts of one group on an interface.

use super::filter::Filter;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::IpAddr;

/// The number of a group's hosts that list a source.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ListedBy {
    pub(super) including: usize,
    pub(super) excluding: usize,
}

/// The sources that hosts of one group list.
#[derive(Debug, Default)]
pub(super) struct Listed {
    pub(super) by_source: BTreeMap<IpAddr, ListedBy>,
}

impl Listed {
    /// Returns whether the group has room for a source. One that is listed already costs nothing.
    pub(super) fn admits(&self, source: IpAddr, limit: usize) -> bool {
        self.by_source.len() < limit || self.by_source.contains_key(&source)
    }

    pub(super) fn count(&mut self, source: IpAddr, more: impl FnOnce(&mut ListedBy)) {
        more(self.by_source.entry(source).or_default());
    }

    pub(super) fn discount(&mut self, source: IpAddr, less: impl FnOnce(&mut ListedBy)) {
        if let Entry::Occupied(mut listed) = self.by_source.entry(source) {
            less(listed.get_mut());
            if listed.get().including + listed.get().excluding == 0 {
                listed.remove();
            }
        }
    }
}

/// The hosts of one group, with counts over all of them.
#[derive(Debug, Default)]
pub(super) struct GroupHosts {
    pub(super) hosts: BTreeMap<IpAddr, Filter>,
    /// Hosts in EXCLUDE state.
    pub(super) excluding: usize,
    pub(super) sources: Listed,
}

impl GroupHosts {
    /// Returns whether a source with these counts is blocked.
    pub(super) fn blocks(&self, listed: ListedBy) -> bool {
        self.excluding > 0 && listed.excluding == self.excluding && listed.including == 0
    }

    /// Adds a host's filter to the counts.
    pub(super) fn count(&mut self, filter: &Filter) {
        match filter {
            Filter::Include(sources) => {
                for &source in sources.keys() {
                    self.sources.count(source, |listed| listed.including += 1);
                }
            }
            Filter::Exclude(sources, _) => {
                self.excluding += 1;
                for &source in sources {
                    self.sources.count(source, |listed| listed.excluding += 1);
                }
            }
        }
    }

    /// Removes a host's filter from the counts.
    pub(super) fn discount(&mut self, filter: &Filter) {
        match filter {
            Filter::Include(sources) => {
                for &source in sources.keys() {
                    self.sources.discount(source, |listed| listed.including -= 1);
                }
            }
            Filter::Exclude(sources, _) => {
                self.excluding -= 1;
                for &source in sources {
                    self.sources.discount(source, |listed| listed.excluding -= 1);
                }
            }
        }
    }
}
