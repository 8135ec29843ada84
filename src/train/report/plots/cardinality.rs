//! How many labels a row holds, and how many it was given.

use super::{Plot, View, named};
use crate::spec::Targets;
use crate::train::TrainError;
use crate::train::report::draw::{ACCENT, Bar, Caption, Group, SECOND, bars, words};

pub(super) fn plot(view: &View<'_>) -> Result<Plot, TrainError> {
    let (held, given) = (sizes(view.targets()), sizes(view.decisions()));
    let most = held.len().max(given.len());
    let rows = view.rows().len();
    let bar = |counts: &[usize], size: usize, tone| {
        let count = counts.get(size).copied().unwrap_or(0);
        let share = count as f64 / rows as f64;
        Bar { tone, value: share, text: format!("{} ({count})", words::percent(share)) }
    };
    let groups: Vec<Group> = (0..most)
        .map(|size| Group {
            name: if size == 1 { "1 label".to_owned() } else { format!("{size} labels") },
            bars: vec![bar(&held, size, ACCENT), bar(&given, size, SECOND)],
        })
        .collect();
    let mean = |name| words::figure(view.overall(name).as_ref());
    let caption = Caption {
        title: "Labels a row".to_owned(),
        note: format!("mean held {}, given {}", mean("cardinality"), mean("predicted_cardinality")),
        about: format!("Rows by their number of labels, from none up: held {held:?}, given {given:?}."),
    };
    Ok(Plot {
        name: named(view, "cardinality"),
        title: "How many labels",
        lead: "Share and number of rows by how many labels they hold and were given.".to_owned(),
        legend: vec![(ACCENT, "held".to_owned()), (SECOND, "given".to_owned())],
        panels: vec![bars(caption, &groups)?],
        columns: 1,
    })
}

/// Rows with no label, with one, and so on, up to the most there are.
fn sizes(targets: &Targets) -> Vec<usize> {
    let mut counts = Vec::new();
    for held in targets.each_row() {
        let size = held.iter().filter(|held| **held).count();
        counts.resize(counts.len().max(size + 1), 0);
        counts[size] += 1;
    }
    counts
}
