//! The measured figures, and the targets that they meet.

use super::machine::Machine;
use super::rows::{Clock, Row};
use serde::Serialize;

/// A run of the comparison.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) rows: Vec<Measured>,
}

/// One row's figures.
#[derive(Debug, Serialize)]
pub(crate) struct Measured {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) unit: &'static str,
    pub(crate) clock: &'static str,
    pub(crate) rounds: usize,
    pub(crate) figures: Vec<Figure>,
    pub(crate) targets: Vec<Reached>,
}

/// The cost of an operation for one contestant: the median of the rounds, and the first and the third quartile.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) median: f64,
    pub(crate) quarter: f64,
    pub(crate) three_quarters: f64,
}

/// A target, and the figure that was compared with it.
#[derive(Debug, Serialize)]
pub(crate) struct Reached {
    pub(crate) of: &'static str,
    /// The contestant that the figure is divided by; `None` when the target is a figure.
    pub(crate) than: Option<&'static str>,
    pub(crate) most: f64,
    pub(crate) value: f64,
    pub(crate) met: bool,
}

impl Figure {
    pub(crate) fn of(name: &'static str, mut rounds: Vec<f64>) -> Figure {
        rounds.sort_by(f64::total_cmp);
        let at = |part: f64| rounds.get(((rounds.len() - 1) as f64 * part).round() as usize).copied();
        let at = |part| if rounds.is_empty() { f64::NAN } else { at(part).unwrap_or(f64::NAN) };
        Figure { name, median: at(0.5), quarter: at(0.25), three_quarters: at(0.75) }
    }

    pub(crate) fn exactly(name: &'static str, value: f64) -> Figure {
        Figure { name, median: value, quarter: value, three_quarters: value }
    }
}

impl Measured {
    pub(crate) fn of(row: &Row, rounds: usize, figures: Vec<Figure>) -> Measured {
        let figure = |name| {
            let figure = figures.iter().find(|figure| figure.name == name);
            // A target with an unknown contestant is never met.
            figure.map_or(f64::NAN, |figure| figure.median)
        };
        let reached = |target: &super::rows::Target| {
            let value = figure(target.of) / target.than.map_or(1.0, figure);
            Reached { of: target.of, than: target.than, most: target.most, value, met: value <= target.most }
        };
        let targets = row.targets.iter().map(reached).collect();
        Measured {
            id: row.id.clone(),
            title: row.title.clone(),
            unit: row.unit,
            clock: match row.clock {
                Clock::Wall => "wall",
                Clock::Thread => "thread",
            },
            rounds,
            figures,
            targets,
        }
    }

    pub(crate) fn figure(&self, name: &str) -> f64 {
        self.figures.iter().find(|figure| figure.name == name).map_or(f64::NAN, |figure| figure.median)
    }

    /// Returns the part of the id before the first `/`.
    pub(crate) fn line(&self) -> &str {
        self.id.split('/').next().unwrap_or_default()
    }
}

impl Report {
    pub(crate) fn summary(&self) -> String {
        let targets = || self.rows.iter().flat_map(|row| &row.targets);
        let met = targets().filter(|target| target.met).count();
        format!("{met} of {} targets met", targets().count())
    }
}

/// Formats a value with three digits.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        v if v.is_nan() => "?".into(),
        v if v >= 10_000.0 => format!("{:.0}k", value / 1000.0),
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 0.1 || v == 0.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
