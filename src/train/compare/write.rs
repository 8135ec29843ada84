//! A comparison as text for people and as JSON for programs.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::{Comparison, Measured};
use crate::metrics::{Difference, Summary};
use crate::train::report::{figure_json, shown};
use crate::train::{TrainError, files, grid};

/// Figures in the tables for people; the one that ranks comes first.
const SHOWN: [&str; 8] =
    ["macro_f1", "micro_f1", "samples_f1", "jaccard", "exact_match", "mean_average_precision", "brier", "ece_debiased"];

impl Comparison {
    /// Writes `comparison.json` and `comparison.md` into `folder`, which is made when absent.
    ///
    /// # Errors
    /// [`TrainError::File`].
    pub fn write(&self, folder: &Path) -> Result<(), TrainError> {
        files::folder(folder)?;
        files::write_json(&folder.join("comparison.json"), &self.json())?;
        files::write(&folder.join("comparison.md"), self.markdown().as_bytes())
    }

    /// Everything, for programs.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "by": self.by,
            "ranked": self.differs.is_empty(),
            "differs": self.differs,
            "intervals": {
                "method": "percentile bootstrap over rows; differences in pairs",
                "resamples": self.resampling.resamples,
                "seed": self.resampling.seed,
                "level": self.resampling.level,
            },
            "systems": self.systems.iter().map(system).collect::<Vec<_>>(),
        })
    }

    /// Tables, for people.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = self.head();
        text.push_str(&self.table(|system, name| shown(system.figures.overall.get(name))));
        if self.differs.is_empty() && self.systems.len() > 1 {
            text.push_str("\n## Differences from the first\n\nA star marks an interval without zero.\n\n");
            text.push_str(&self.table(|system, name| difference(&system.differences, name)));
        }
        text
    }

    fn head(&self) -> String {
        let about = self.systems.first().map(|system| &system.about);
        let ranked = if self.differs.is_empty() {
            let better = if Summary::<f64>::LOWER_IS_BETTER.contains(&self.by) { "lower" } else { "higher" };
            let rows = about.map_or(String::new(), |about| {
                let folds = about.folds.as_ref().map_or(String::new(), |folds| format!(" Folds `{folds}`."));
                format!("{} {} rows, data `{}`.{folds} Thresholds: {}. ", about.rows, about.kind.name(), about.data, about.policy)
            });
            format!("{rows}Ranked by {}, {better} is better.", self.by)
        } else {
            format!("**Not ranked:**\n\n{}\n", self.differs.iter().map(|differs| format!("- {differs}")).collect::<Vec<_>>().join("\n"))
        };
        let Self { resampling, .. } = self;
        format!(
            "# Comparison\n\n{ranked}\n\nIn brackets {:.0} % intervals: {} resamples of the rows, seed {}.\n\n",
            100.0 * resampling.level,
            resampling.resamples,
            resampling.seed
        )
    }

    fn table(&self, cell: impl Fn(&Measured, &str) -> String) -> String {
        let names = || std::iter::once(self.by).chain(SHOWN.into_iter().filter(|name| *name != self.by));
        let heading = ["run", "model"].into_iter().chain(names()).map(str::to_owned).collect();
        let row = |system: &Measured| {
            [system.name.clone(), system.about.model.clone()].into_iter().chain(names().map(|name| cell(system, name))).collect()
        };
        grid::table(&std::iter::once(heading).chain(self.systems.iter().map(row)).collect::<Vec<_>>())
    }
}

fn difference(differences: &[Difference], name: &str) -> String {
    let found = differences.iter().find(|difference| difference.figure == name);
    match found.and_then(|found| Some((found.difference?, found.interval?))) {
        None => "-".to_owned(),
        Some((difference, interval)) => {
            let star = if interval.low > 0.0 || interval.high < 0.0 { " *" } else { "" };
            format!("{difference:+.4} [{:+.4}, {:+.4}]{star}", interval.low, interval.high)
        }
    }
}

fn system(system: &Measured) -> Value {
    let figures = system.figures.overall.iter().map(|(name, figure)| (name.clone(), figure_json(figure)));
    let differences = system.differences.iter().map(|difference| {
        let interval = difference.interval.map(|interval| [interval.low, interval.high]);
        (difference.figure.to_owned(), json!({"value": difference.difference, "interval": interval}))
    });
    let about = &system.about;
    json!({
        "name": system.name,
        "model": about.model,
        "kind": about.kind,
        "rows": about.rows,
        "labels": about.labels,
        "data": about.data,
        "folds": about.folds,
        "thresholds": about.policy,
        "figures": figures.collect::<Map<_, _>>(),
        "differences_from_first": differences.collect::<Map<_, _>>(),
    })
}
