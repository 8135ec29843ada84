//! `limbic-train compare`.

use std::path::Path;

use super::{Edge, pages};
use crate::metrics::{Resampling, Summary};
use crate::train::TrainError;
use crate::train::args::CompareArgs;
use crate::train::compare::{Candidate, Comparison};
use crate::train::outcome::{Kind, Outcome};

/// Compares finished runs, or evaluations, row by row; prints the tables, and writes a report when
/// asked to.
///
/// # Errors
/// [`TrainError::NotComparable`] when they may not be ranked and that was not allowed for, and other
/// [`TrainError`]s.
pub fn compare(args: &CompareArgs, edge: &mut Edge<'_>) -> Result<(), TrainError> {
    let judges = |name: &&&str| !Summary::<f64>::DESCRIPTIVE.contains(*name) && **name == args.by;
    let by = Summary::<f64>::NAMES.iter().find(judges).ok_or_else(|| TrainError::Argument {
        name: "--by",
        expected: Summary::<f64>::NAMES
            .iter()
            .filter(|name| !Summary::<f64>::DESCRIPTIVE.contains(*name))
            .copied()
            .collect::<Vec<_>>()
            .join(", "),
        found: args.by.clone(),
    })?;
    let resampling = Resampling { resamples: args.resampling.resamples, seed: args.resampling.seed, ..Resampling::default() };
    let read = |folder: &std::path::PathBuf| candidate(folder, args.rows.0);
    let candidates = args.runs.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let comparison = Comparison::of(candidates, by, resampling)?;
    if !comparison.differs.is_empty() && !args.unranked {
        return Err(TrainError::NotComparable { differs: comparison.differs.join("; ") });
    }
    if let Some(folder) = &args.report {
        comparison.write(folder)?;
        pages::comparison(&comparison, folder)?;
    }
    edge.print(&comparison.markdown())
}

/// The rows of an evaluation's folder, or those of a finished run.
fn candidate(folder: &Path, of_run: Kind) -> Result<Candidate, TrainError> {
    let name = folder.display().to_string();
    if let Some(outcome) = Outcome::read(folder, Kind::Evaluation)? {
        return Ok(Candidate { name, outcome });
    }
    let without = |missing: &str| TrainError::RunFolder {
        path: folder.to_owned(),
        expected: format!("a finished run, or an evaluation's report ({})", Kind::Evaluation.about_file()),
        found: format!("no {missing}"),
    };
    if !folder.join("report.json").is_file() {
        return Err(without("report.json"));
    }
    let outcome = Outcome::read(folder, of_run)?.ok_or_else(|| without(&of_run.about_file()))?;
    Ok(Candidate { name, outcome })
}
