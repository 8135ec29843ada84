//! Several systems on the same rows: who is ahead, and by more than chance.
//!
//! A difference is resampled in pairs: the same rows are drawn for both systems, so what is hard
//! for both cancels out. It refuses to rank what was not measured alike: other rows, another split,
//! another way to choose thresholds.

mod write;

use super::TrainError;
use super::measure;
use super::outcome::{About, Outcome};
use crate::bundle::Figures;
use crate::metrics::{Difference, Resampling, Summary, paired_differences};

/// One system: a name, and what it said of every row.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// As the user names it.
    pub name: String,
    /// What it said.
    pub outcome: Outcome,
}

/// One system, measured.
#[derive(Debug, Clone)]
pub struct Measured {
    /// As the user names it.
    pub name: String,
    /// What its rows are.
    pub about: About,
    /// Its figures with intervals.
    pub figures: Figures,
    /// Its figures less those of the first, on the same resamples; empty for the first, and when
    /// nothing may be ranked.
    pub differences: Vec<Difference>,
}

/// Systems beside each other: the best first, or in the order given when they may not be ranked.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// The figure that ranks.
    pub by: &'static str,
    /// How intervals were drawn.
    pub resampling: Resampling,
    /// What forbids ranking; nothing when they are ranked.
    pub differs: Vec<String>,
    /// The systems.
    pub systems: Vec<Measured>,
}

impl Comparison {
    /// Measures the candidates, of which there is at least one, and ranks them by a name of
    /// [`Summary::NAMES`] if they may be.
    ///
    /// # Errors
    /// [`TrainError::Metrics`] without rows.
    pub fn of(mut candidates: Vec<Candidate>, by: &'static str, resampling: Resampling) -> Result<Self, TrainError> {
        let differs = differs(&candidates);
        if differs.is_empty() {
            rank(&mut candidates, by)?;
        }
        let first = candidates.first().map(|first| first.outcome.judged()).transpose()?;
        let measure = |(at, candidate): (usize, &Candidate)| {
            let judged = candidate.outcome.judged()?;
            let differences = match &first {
                Some(first) if at > 0 && differs.is_empty() => paired_differences(&judged, first, resampling)?,
                _ => Vec::new(),
            };
            let figures = measure::figures(&candidate.outcome.about.labels, &judged, resampling);
            Ok(Measured { name: candidate.name.clone(), about: candidate.outcome.about.clone(), figures, differences })
        };
        let systems = candidates.iter().enumerate().map(measure).collect::<Result<_, TrainError>>()?;
        Ok(Self { by, resampling, differs, systems })
    }
}

/// The best first; equals stay in the order given, and what has no such figure comes last.
fn rank(candidates: &mut [Candidate], by: &str) -> Result<(), TrainError> {
    let sign = if Summary::<f64>::LOWER_IS_BETTER.contains(&by) { 1.0 } else { -1.0 };
    let place = Summary::<f64>::NAMES.iter().position(|name| *name == by).expect("the figure was looked up; anything else, this is a bug");
    let mut keys = Vec::with_capacity(candidates.len());
    for candidate in candidates.iter() {
        keys.push(candidate.outcome.judged()?.report().summary.cells()[place].map_or(f64::INFINITY, |value| sign * value));
    }
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    order.sort_by(|&left, &right| keys[left].total_cmp(&keys[right]));
    let sorted: Vec<Candidate> = order.iter().map(|&at| candidates[at].clone()).collect();
    candidates.clone_from_slice(&sorted);
    Ok(())
}

/// What must be the same everywhere and is not, each with who has what.
fn differs(candidates: &[Candidate]) -> Vec<String> {
    type Part = (&'static str, fn(&Outcome) -> String);
    let parts: [Part; 6] = [
        ("kinds of rows", |outcome| outcome.about.kind.name().to_owned()),
        ("labels", |outcome| outcome.about.labels.names().join(",")),
        ("data fingerprints", |outcome| outcome.about.data.clone()),
        ("folds", |outcome| outcome.about.folds.clone().unwrap_or_else(|| "none".to_owned())),
        ("threshold policies", |outcome| outcome.about.policy.clone()),
        ("rows", |outcome| {
            let ids = outcome.rows.ids();
            let end = |id: Option<&String>| id.map_or("", String::as_str).to_owned();
            format!("{} rows, {} to {}", ids.len(), end(ids.first()), end(ids.last()))
        }),
    ];
    let Some(first) = candidates.first() else { return Vec::new() };
    let mut found = Vec::new();
    for (what, part) in parts {
        for other in &candidates[1..] {
            let (mine, its) = (part(&first.outcome), part(&other.outcome));
            if mine != its {
                found.push(format!("{what} differ: {} has {mine}, {} has {its}", first.name, other.name));
            }
        }
    }
    found
}
