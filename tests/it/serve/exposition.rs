//! The metrics as a page: its form, by the rules that `promtool check metrics` holds it to, and its names, by the
//! table in docs/telemetry.md.

use std::collections::{BTreeMap, BTreeSet};

use limbic::serve::telemetry::{LEAST_TEXTS, Telemetry};
use serde_json::json;

use super::drift::judged;
use super::harness::{Plan, until};
use super::zoo::Zoo;

/// One family as the page has it.
#[derive(Debug, Default, PartialEq)]
struct Family {
    help: String,
    kind: String,
    labels: BTreeSet<String>,
}

/// Families by name, and everything that is wrong with the page.
fn read(page: &str) -> (BTreeMap<String, Family>, Vec<String>) {
    let (mut families, mut wrong) = (BTreeMap::<String, Family>::new(), Vec::new());
    let mut seen = BTreeSet::new();
    for line in page.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            if families.contains_key(name) {
                wrong.push(format!("{name} has help twice"));
            }
            families.entry(name.to_owned()).or_default().help = help.to_owned();
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            families.entry(name.to_owned()).or_default().kind = kind.to_owned();
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            if value.parse::<f64>().is_err() {
                wrong.push(format!("{series} is no number: {value}"));
            }
            if !seen.insert(series.to_owned()) {
                wrong.push(format!("{series} stands there twice"));
            }
            let (name, labels) = series.strip_suffix('}').and_then(|series| series.split_once('{')).unwrap_or((series, ""));
            let own = ["_bucket", "_sum", "_count"].iter().find_map(|part| {
                let base = name.strip_suffix(part)?;
                families.get(base).is_some_and(|family| family.kind == "histogram").then_some(base)
            });
            match families.get_mut(own.unwrap_or(name)) {
                None => wrong.push(format!("{name} has no head")),
                Some(family) => family.labels.extend(names(labels).filter(|label| !(own.is_some() && label == "le"))),
            }
        }
    }
    wrong.extend(families.iter().flat_map(|(name, family)| against(name, family)));
    (families, wrong)
}

/// `a="x",b="y"` without its values, which may hold anything between their quotes.
fn names(labels: &str) -> impl Iterator<Item = String> {
    labels.split("\",").filter_map(|part| part.split_once("=\"")).map(|(name, _)| name.to_owned())
}

/// The rules of `promtool check metrics` for one family.
fn against(name: &str, family: &Family) -> Vec<String> {
    let last = name.rsplit('_').next().unwrap();
    let base = ["seconds", "bytes", "ratio", "total", "info"];
    let scaled = ["milliseconds", "microseconds", "minutes", "hours", "ms", "us", "kilobytes", "megabytes", "percent"];
    let rules = [
        (family.help.is_empty(), "has no help"),
        (!["counter", "gauge", "histogram"].contains(&family.kind.as_str()), "has no kind"),
        ((family.kind == "counter") != (last == "total"), "ends in _total and is no counter, or the other way round"),
        (["count", "sum", "bucket"].contains(&last), "ends like a part of a histogram"),
        (["counter", "gauge", "histogram"].iter().any(|kind| name.split('_').any(|word| word == *kind)), "names its kind"),
        (name.split('_').any(|word| scaled.contains(&word)), "is in no base unit"),
        (name.split('_').rev().skip(1).any(|word| base.contains(&word)), "has its unit or its kind in the middle"),
        (!name.starts_with("limbic_"), "has no prefix"),
        (name.chars().any(|letter| !letter.is_ascii_lowercase() && letter != '_'), "is not in snake case"),
        (family.labels.contains("le") || family.labels.contains("quantile"), "has a label that is spoken for"),
        (family.labels.iter().any(|label| label.chars().any(|letter| !letter.is_ascii_lowercase() && letter != '_')), "has a loud label"),
    ];
    rules.iter().filter(|(broken, _)| *broken).map(|(_, rule)| format!("{name} {rule}")).collect()
}

/// A page with every family there is, as the union of those of two servers.
fn everything() -> BTreeMap<String, Family> {
    let plain = Plan::default().start_telling(judged, Telemetry::new());
    let input: Vec<String> = (0..LEAST_TEXTS.div_ceil(10)).map(|at| format!("text {at}")).collect();
    (0..10).for_each(|_| drop(plain.post("/v1/emotions", &json!({"input": input})).expect(200)));
    let zoo = Zoo::of(&["joy-1", "joy-2"]);
    let shadowed = zoo.serve(Plan::default(), "joy");
    shadowed.change("/admin/shadow", &json!({"model": "joy", "with": "joy@1", "percent": 100})).expect(200);
    shadowed.classify("so happy").expect(200);
    until("it was compared", || shadowed.metric("limbic_shadow_texts_total{model=\"joy\",outcome=\"compared\"}") == 1.0);
    let mut families = BTreeMap::new();
    for page in [plain.get("/metrics").expect(200).body, shadowed.get_admin("/metrics").expect(200).body] {
        let (found, wrong) = read(&page);
        assert_eq!(wrong, Vec::<String>::new());
        families.extend(found);
    }
    families
}

/// The table's rows: kind and labels by name.
fn documented() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let words = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let name = cells.get(1)?.strip_prefix("`limbic_")?.strip_suffix('`')?;
        Some((format!("limbic_{name}"), (cells[2].to_owned(), words(cells[3]).into_iter().collect())))
    };
    include_str!("../../../docs/telemetry.md").lines().filter_map(row).collect()
}

#[test]
fn every_metric_is_in_form_and_in_the_documentation() {
    let found: BTreeMap<String, (String, BTreeSet<String>)> =
        everything().into_iter().map(|(name, family)| (name, (family.kind, family.labels))).collect();
    assert_eq!(found, documented());
    assert_eq!(found.len(), 25);
}

#[test]
fn a_page_out_of_form_is_told() {
    let head = |name: &str, kind: &str| format!("# HELP {name} What it is.\n# TYPE {name} {kind}\n{name} 1\n");
    for (page, expected) in [
        (head("limbic_a_total", "counter"), None),
        (head("limbic_a", "counter"), Some("no counter, or the other way")),
        (head("limbic_a_total", "gauge"), Some("no counter, or the other way")),
        (head("limbic_a_ms", "gauge"), Some("base unit")),
        (head("limbic_seconds_a", "gauge"), Some("in the middle")),
        (head("limbic_a_count", "gauge"), Some("part of a histogram")),
        (head("limbic_gauge_a", "gauge"), Some("names its kind")),
        (head("limbic_aB", "gauge"), Some("snake case")),
        (head("a", "gauge"), Some("no prefix")),
        (head("limbic_a", "gauge").replace("What it is.", ""), Some("no help")),
        (format!("{}limbic_a 1\n", head("limbic_a", "gauge")), Some("twice")),
        (format!("{}limbic_b 1\n", head("limbic_a", "gauge")), Some("no head")),
        (head("limbic_a", "gauge").replace("limbic_a 1", "limbic_a{le=\"1\"} 1"), Some("spoken for")),
        (head("limbic_a", "gauge").replace("limbic_a 1", "limbic_a one"), Some("no number")),
    ] {
        let (_, wrong) = read(&page);
        match expected {
            None => assert_eq!(wrong, Vec::<String>::new()),
            Some(expected) => assert!(wrong.iter().any(|found| found.contains(expected)), "{page} gives {wrong:?}, expected {expected}"),
        }
    }
}
