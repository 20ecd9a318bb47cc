//! [`Changes`]: the groups that a call touches, with what their hosts wanted before.

use super::super::hosts::Wanted;
use super::super::observer::{GmpChange, GmpSubject};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// Why a group changes: what ended state is called, and the host that brought it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cause {
    pub(super) ended: GmpChange,
    pub(super) host: Option<IpAddr>,
}

/// A change of a group, before it is given the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Change {
    pub(in super::super) at: Duration,
    pub(in super::super) subject: GmpSubject,
    pub(in super::super) change: GmpChange,
    pub(in super::super) host: Option<IpAddr>,
}

#[derive(Debug)]
struct Touched {
    /// What was wanted before; empty without an observer.
    before: Wanted,
    at: Duration,
    cause: Cause,
}

/// The groups touched so far.
#[derive(Debug, Default)]
pub(super) struct Changes {
    touched: BTreeMap<IpAddr, Touched>,
    /// Changes that are complete.
    pub(super) ready: Vec<Change>,
    /// The groups of completed calls, and whether what they select changed.
    pub(super) dirty: Vec<(IpAddr, bool)>,
}

impl Changes {
    /// Notes that a group is about to change. `before` returns what is wanted until now.
    pub(super) fn touch(
        &mut self,
        group: IpAddr,
        at: Duration,
        cause: Cause,
        before: impl FnOnce() -> Wanted,
    ) {
        let touched = self.touched.entry(group).or_insert_with(|| Touched { before: before(), at, cause });
        (touched.at, touched.cause) = (at, cause);
    }

    /// Returns the groups touched since the changes were completed.
    pub(super) fn touched(&self) -> Vec<IpAddr> {
        self.touched.keys().copied().collect()
    }

    /// Completes the changes. `wanted` returns what is wanted now of a group that changed: `Some(None)` without an observer.
    pub(super) fn finish(&mut self, mut wanted: impl FnMut(IpAddr) -> Option<Option<Wanted>>) {
        for (group, Touched { before, at, cause }) in std::mem::take(&mut self.touched) {
            let after = wanted(group);
            self.dirty.push((group, after.is_some()));
            let Some(Some(after)) = after else { continue };
            let mut tell = |subject, began: bool| {
                let change = if began { GmpChange::Joined } else { cause.ended };
                self.ready.push(Change { at, subject, change, host: cause.host });
            };
            if before.any_source != after.any_source {
                tell(GmpSubject::AnySource { group }, after.any_source);
            }
            for &source in before.sources.symmetric_difference(&after.sources) {
                tell(GmpSubject::OneSource { source, group }, after.sources.contains(&source));
            }
            for &source in before.blocked.symmetric_difference(&after.blocked) {
                tell(GmpSubject::Blocked { source, group }, after.blocked.contains(&source));
            }
        }
    }
}

/// Returns the end of what is wanted of a group, by no host.
pub(super) fn ends(group: IpAddr, wanted: &Wanted, at: Duration) -> Vec<Change> {
    let any = wanted.any_source.then_some(GmpSubject::AnySource { group });
    let sources = wanted.sources.iter().map(|&source| GmpSubject::OneSource { source, group });
    let blocked = wanted.blocked.iter().map(|&source| GmpSubject::Blocked { source, group });
    let subjects = any.into_iter().chain(sources).chain(blocked);
    subjects.map(|subject| Change { at, subject, change: GmpChange::Left, host: None }).collect()
}
