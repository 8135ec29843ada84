//! Which labels go together, in truth and in what was given.

use super::{Plot, View, named};
use crate::spec::{LabelSet, Targets};
use crate::train::TrainError;
use crate::train::report::draw::{Caption, heat};

pub(super) fn plot(view: &View<'_>) -> Result<Plot, TrainError> {
    let sides = [("True", "hold", view.targets()), ("Predicted", "were given", view.decisions())];
    let panels = sides.map(|(title, verb, targets)| {
        let caption = Caption {
            title: title.to_owned(),
            note: format!("% of the rows that {verb} the line's label"),
            about: told(view.labels(), targets),
        };
        heat(caption, view.labels(), |row, column| if row == column { None } else { share(targets, row, column) })
    });
    Ok(Plot {
        name: named(view, "cooccurrence"),
        title: "Labels that go together",
        lead:
            "A line reads: of the rows with this label, so many per cent also have that one. Where the two squares differ, the model ties \
               labels together, or parts them, otherwise than people do."
                .to_owned(),
        legend: Vec::new(),
        panels: panels.into_iter().collect::<Result<_, _>>()?,
        columns: 2,
    })
}

/// Of the rows with one label, the share with another; none when no row has it.
fn share(targets: &Targets, one: usize, other: usize) -> Option<f64> {
    let with = targets.positives(one);
    let both = targets.each_row().filter(|held| held[one] && held[other]).count();
    (with > 0).then(|| both as f64 / with as f64)
}

/// The strongest ties in words.
fn told(labels: &LabelSet, targets: &Targets) -> String {
    let pairs = (0..labels.len()).flat_map(|one| (0..labels.len()).map(move |other| (one, other))).filter(|(one, other)| one != other);
    let mut ties: Vec<(f64, usize, usize)> =
        pairs.filter_map(|(one, other)| share(targets, one, other).map(|share| (share, one, other))).collect();
    ties.sort_by(|left, right| right.0.total_cmp(&left.0));
    let name = |label: usize| &labels.names()[label];
    let told: Vec<String> =
        ties.iter().take(5).map(|&(share, one, other)| format!("{:.0} % of {} also {}", 100.0 * share, name(one), name(other))).collect();
    format!("The strongest ties: {}.", told.join("; "))
}
