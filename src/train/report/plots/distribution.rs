//! How often each label is held, in every file of a run.

use super::Plot;
use crate::spec::LabelSet;
use crate::train::TrainError;
use crate::train::report::Split;
use crate::train::report::draw::{Bar, Caption, Group, bars, of, words};

pub(crate) fn plot(labels: &LabelSet, splits: &[Split]) -> Result<Plot, TrainError> {
    let bar = |(index, split): (usize, &Split), label: usize| {
        let prevalence = split.positives[label] as f64 / split.rows as f64;
        Bar { tone: of(index), value: prevalence, text: format!("{} ({})", words::percent(prevalence), split.positives[label]) }
    };
    let groups: Vec<Group> = (labels.names().iter().enumerate())
        .map(|(label, name)| Group { name: name.clone(), bars: splits.iter().enumerate().map(|split| bar(split, label)).collect() })
        .collect();
    let sizes: Vec<String> = splits.iter().map(|split| format!("{} {}", split.name, words::rows(split.rows))).collect();
    let told = |group: &Group| format!("{}: {}", group.name, group.bars.iter().map(|bar| bar.text.as_str()).collect::<Vec<_>>().join(", "));
    let caption = Caption {
        title: "Prevalence".to_owned(),
        note: sizes.join(", "),
        about: format!("Share and number of rows that hold each label. {}.", groups.iter().map(told).collect::<Vec<_>>().join("; ")),
    };
    Ok(Plot {
        name: "labels".to_owned(),
        title: "Labels",
        lead: "Share of rows that hold each label, and their number. A row holds several labels or none, so the shares need not add up to \
               one."
            .to_owned(),
        legend: splits.iter().enumerate().map(|(index, split)| (of(index), split.name.clone())).collect(),
        panels: vec![bars(caption, &groups)?],
        columns: 1,
    })
}
