//! Pages and plots: what is drawn is what was measured, nothing in a label or an id is markup, and a
//! page asks for nothing from anywhere.

use std::collections::BTreeMap;
use std::path::Path;

use limbic::bundle::{Figure, Figures, MeasuredSet};
use limbic::decide::{Decider, Logits, Thresholds};
use limbic::metrics::{BINS, Counts, Difference, Interval, Judged, LabelFigures, Resampling, Summary, calibration_error, reliability};
use limbic::spec::{Activation, LabelSet, Targets};
use limbic::train::report::{Compared, Comparison, Drawn, Pair, View, compare_page, evaluation};
use limbic::train::scored::{Said, ScoredRows};

const EVIL: &str = "<script>alert(1)</script>";
const ROWS: usize = 90;

/// Judged rows of three labels, one of them with a name that is no name.
struct Sample {
    labels: LabelSet,
    rows: ScoredRows,
    set: MeasuredSet,
    thresholds: Vec<f64>,
}

impl Sample {
    fn new() -> Self {
        Self::of(LabelSet::new(["joy", EVIL, "fear & \"awe\""]).unwrap(), ROWS)
    }

    fn of(labels: LabelSet, count: usize) -> Self {
        let width = labels.len();
        let cells = (0..count).flat_map(|row| (0..width).map(move |label| (row, label)));
        let logits: Vec<f32> = cells.clone().map(|(row, label)| ((row * 7 + label * 13) % 41) as f32 / 8.0 - 2.5).collect();
        let held = cells.zip(&logits).map(|((row, label), z)| *z > ((row * 5 + label) % 11) as f32 / 4.0 - 1.0).collect();
        let (logits, targets) = (Logits::new(width, logits).unwrap(), Targets::new(count, width, held).unwrap());
        let thresholds = Thresholds::new((0..width).map(|label| [0.4, 0.55, 0.7][label % 3]).collect()).unwrap();
        let calibrated = limbic::decide::Calibrator::sigmoid(1.4, 0.2).unwrap();
        let decider = Decider::new(labels.clone(), Activation::Sigmoid, vec![calibrated; width], thresholds.clone()).unwrap();
        let probabilities = decider.probabilities(&logits);
        let decisions = thresholds.decide(&probabilities).unwrap();
        let judged = Judged::new(&probabilities, &targets, &thresholds).unwrap();
        let ids = (0..count).map(|row| if row == 3 { "<b>3</b>".to_owned() } else { format!("row-{row}") }).collect();
        let said = Said { targets: &targets, decisions: &decisions, logits: &logits, probabilities: &probabilities };
        let rows = ScoredRows::new(ids, &vec![1; count], said).unwrap();
        let tuned = figures(&labels, &judged);
        let set = MeasuredSet { name: "some_rows".into(), rows: count, note: "A <note>.".into(), at_half: tuned.clone(), tuned };
        Self { labels, rows, set, thresholds: thresholds.values().to_vec() }
    }

    fn view(&self) -> View<'_> {
        View::new(&self.labels, &self.set, &self.rows, &self.thresholds, Activation::Sigmoid).unwrap()
    }

    fn page(&self) -> Drawn {
        evaluation("A <model>", &[("data", "a & b".to_owned())], &["seen <before>".to_owned()], &[self.view()]).unwrap()
    }

    fn column(&self, label: usize) -> (Vec<f32>, Vec<bool>) {
        (self.rows.probabilities().column(label).collect(), self.rows.targets().column(label).collect())
    }
}

fn figures(labels: &LabelSet, judged: &Judged<'_>) -> Figures {
    let (report, intervals) = (judged.report(), judged.intervals(Resampling { resamples: 30, ..Resampling::default() }));
    let named = |names: &[&str], values: Vec<Option<f64>>, ends: Vec<Option<Interval>>| -> BTreeMap<String, Figure> {
        let figure =
            |value: Option<f64>, ends: Option<Interval>| Some(Figure { value: value?, interval: ends.map(|ends| (ends.low, ends.high)) });
        names.iter().zip(values).zip(ends).filter_map(|((name, value), ends)| Some(((*name).to_owned(), figure(value, ends)?))).collect()
    };
    let of_label = |label: usize| named(LabelFigures::<f64>::NAMES, report.labels[label].cells(), intervals.labels[label].cells());
    Figures {
        overall: named(Summary::<f64>::NAMES, report.summary.cells(), intervals.summary.cells()),
        labels: labels.names().iter().enumerate().map(|(label, name)| (name.clone(), of_label(label))).collect(),
    }
}

/// The panels below a heading: title, description, markup.
fn panels<'a>(html: &'a str, heading: &str) -> Vec<(&'a str, &'a str, &'a str)> {
    let (_, section) = html.split_once(&format!("<h3>{heading}</h3>")).unwrap_or_else(|| panic!("no section {heading}"));
    let section = section.split("</section>").next().unwrap();
    let between = |text: &'a str, from: &str, to: &str| text.split_once(from).unwrap().1.split_once(to).unwrap().0;
    section.split("<svg ").skip(1).map(|svg| (between(svg, "<title>", "</title>"), between(svg, "<desc>", "</desc>"), svg)).collect()
}

#[test]
fn reliability_diagrams_draw_the_bins_of_metrics() {
    let sample = Sample::new();
    let page = sample.page();
    let panels = panels(page.html(), "Reliability");
    assert_eq!(panels.len(), 3);
    for (label, (_, about, svg)) in panels.into_iter().enumerate() {
        let (scores, held) = sample.column(label);
        let plain: Vec<f32> = sample.rows.logits().column(label).map(|z| 1.0 / (1.0 + (-z).exp())).collect();
        let (after, before) = (reliability(&scores, &held, BINS).unwrap(), reliability(&plain, &held, BINS).unwrap());
        assert!(after.len() > 5, "{}", after.len());
        let (rings, dots) = svg.split("<circle").skip(1).partition::<Vec<_>, _>(|circle| circle.contains("fill=\"none\""));
        assert_eq!((dots.len(), rings.len()), (after.len(), before.len()), "label {label}");
        let told: Vec<String> = after.iter().map(|bin| format!("{:.3}, {:.3}, {}", bin.score, bin.held, bin.rows)).collect();
        assert!(about.contains(&told.join("; ")), "{about}");
        let (one, other) = (calibration_error(&scores, &held).unwrap(), calibration_error(&plain, &held).unwrap());
        assert!(svg.contains(&format!("ECE {one:.3}, uncalibrated {other:.3}")), "label {label}: {one:.3}, {other:.3}");
    }
}

#[test]
fn threshold_curves_meet_the_reported_f1() {
    let sample = Sample::new();
    let page = sample.page();
    let found = panels(page.html(), "Thresholds");
    assert_eq!(found.len(), 3);
    for ((name, threshold), (_, _, svg)) in sample.labels.names().iter().zip(&sample.thresholds).zip(found) {
        let reported = sample.set.tuned.labels[name]["f1"].value;
        let expected = format!("threshold {threshold:.3}: F1 {reported:.3}; reported F1 {reported:.3}");
        assert!(svg.contains(&expected), "{expected} not in\n{svg}");
        // F1 and recall have a point at each of 101 thresholds; precision ends with the last row given.
        let points: Vec<usize> =
            svg.split("points=\"").skip(1).map(|path| path.split('"').next().unwrap().split_whitespace().count()).collect();
        assert_eq!(points.iter().filter(|&&count| count == 101).count(), 2, "{points:?}");
    }
}

#[test]
fn precision_recall_and_confusion_hold_the_reported_numbers() {
    let sample = Sample::new();
    let page = sample.page();
    let (curves, confusion) = (panels(page.html(), "Precision and recall"), panels(page.html(), "Confusion"));
    assert_eq!((curves.len(), confusion.len()), (3, 3));
    for (label, name) in sample.labels.names().iter().enumerate() {
        let Figure { value, interval } = sample.set.tuned.labels[name]["average_precision"];
        let (low, high) = interval.unwrap();
        assert!(curves[label].2.contains(&format!("AP {value:.3} [{low:.3}, {high:.3}]")), "{name}");
        let mut counts = Counts::default();
        let cells = sample.rows.decisions().column(label).zip(sample.rows.targets().column(label));
        cells.for_each(|(given, held)| counts.add(given, held, 1));
        let expected = format!(
            "{} given and held, {} held but not given, {} given but not held, {} neither.",
            counts.true_positives, counts.false_negatives, counts.false_positives, counts.true_negatives
        );
        assert_eq!(confusion[label].1, expected, "{name}");
        assert_eq!(sample.set.tuned.labels[name]["predicted"].value, counts.predicted() as f64);
    }
}

#[test]
fn many_labels_have_room() {
    let labels = LabelSet::new((0..28).map(|label| format!("a long label {label}"))).unwrap();
    let page = Sample::of(labels, 1237).page();
    let mut seen = 0;
    for heading in ["Reliability", "Thresholds", "Precision and recall", "Confusion"] {
        for (title, _, svg) in panels(page.html(), heading) {
            let note = svg.split("<text").nth(2).and_then(|text| text.split_once('>')).unwrap().1.split('<').next().unwrap().trim();
            // A panel is 270 pixels wide, a character of its note 6 at most.
            assert!(note.contains(char::is_numeric) && note.chars().count() <= 45, "{heading}, {title}: {note}");
            seen += 1;
        }
    }
    assert_eq!(seen, 4 * 28);
    // One line of panels where there is no room for a page of them; intervals below their values.
    let count = |class: &str| page.html().matches(&format!("<div class=\"{class}\"")).count();
    assert_eq!((count("panels many"), count("scroll dense")), (4, 1));
}

#[test]
fn nothing_is_markup_and_nothing_is_fetched() {
    let sample = Sample::new();
    let versus = compared(&sample);
    let mut seen = 0;
    for page in [&sample.page(), &versus] {
        let html = page.html();
        for refused in [
            "<script",
            "<b>",
            "<link",
            "<img",
            "<iframe",
            "http:",
            "https:",
            "url(",
            "src=",
            "@import",
            "javascript:",
            "<note>",
            "<model>",
            "<before>",
            "<differ>",
        ] {
            assert!(!html.contains(refused), "{refused}");
            seen += 1;
        }
        assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && html.contains("default-src 'none'"));
        let balanced = |tag: &str| {
            (
                html.matches(&format!("<{tag}>")).count() + html.matches(&format!("<{tag} ")).count(),
                html.matches(&format!("</{tag}>")).count(),
            )
        };
        for tag in ["svg", "table", "section", "div", "title", "h2", "h3", "dl"] {
            let (opened, closed) = balanced(tag);
            assert_eq!(opened, closed, "{tag}");
        }
        assert_eq!(html.matches("<svg role=\"img\"").count(), html.matches("<desc>").count());
    }
    assert_eq!(seen, 30);
}

#[test]
fn a_page_shows_its_parts_in_reading_order() {
    let sample = Sample::new();
    let page = sample.page();
    let outline = |html: &str| -> String {
        let heads = html.split('<').filter_map(|part| {
            let (tag, text) = part.split_once('>')?;
            let name = tag.split(' ').next()?;
            ["h1", "h2", "h3", "caption", "title"].contains(&name).then(|| format!("{name} {text}\n"))
        });
        heads.collect()
    };
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("report_evaluation", outline(page.html()));
        insta::assert_snapshot!("report_compare", outline(compared(&sample).html()));
    });
}

#[test]
fn plots_are_written_as_svg_and_png_of_twice_the_size() {
    let folder = tempfile::tempdir().unwrap();
    let page = Sample::new().page().write(folder.path()).unwrap();
    assert_eq!(page, folder.path().join("report.html"));
    let mut names: Vec<String> =
        std::fs::read_dir(folder.path().join("plots")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let plots = ["cardinality", "confusion", "cooccurrence", "precision-recall", "reliability", "scores", "thresholds"];
    let expected: Vec<String> = plots.iter().flat_map(|plot| ["png", "svg"].map(|kind| format!("some_rows-{plot}.{kind}"))).collect();
    assert_eq!(names, expected);
    for plot in plots {
        let path = |kind: &str| folder.path().join(format!("plots/some_rows-{plot}.{kind}"));
        let (svg, png) = (std::fs::read_to_string(path("svg")).unwrap(), std::fs::read(path("png")).unwrap());
        let side = |name: &str| -> f64 { svg.split_once(&format!("{name}=\"")).unwrap().1.split('"').next().unwrap().parse().unwrap() };
        let dots = |at: usize| f64::from(u32::from_be_bytes(png[at..at + 4].try_into().unwrap()));
        assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n", "{plot}");
        assert!((dots(16) - 2.0 * side("width")).abs() <= 2.0 && (dots(20) - 2.0 * side("height")).abs() <= 2.0, "{plot}");
        // A picture without its letters and lines would be a few hundred bytes of white.
        assert!(png.len() > 8_000, "{plot}: {} bytes", png.len());
        assert!(!svg.contains("<script") && !svg.contains("var(--"), "{plot}");
    }
}

/// Two runs of the same rows, the second a little better.
fn compared(sample: &Sample) -> Drawn {
    let difference =
        |figure, value| Difference { figure, difference: Some(value), interval: Some(Interval { low: value - 0.02, high: value + 0.01 }) };
    let run = |name: &str| Compared { name: name.to_owned(), facts: vec![("recipe", "sha256:1".to_owned())], set: &sample.set };
    let comparison = Comparison {
        title: "Two runs".to_owned(),
        labels: &sample.labels,
        runs: vec![run("first"), run(EVIL)],
        pairs: vec![Pair {
            left: "first".into(),
            right: EVIL.into(),
            differences: vec![difference("macro_f1", 0.015), difference("ece", -0.004)],
        }],
        warnings: vec!["the folds <differ>".to_owned()],
    };
    compare_page(&comparison).unwrap()
}

#[test]
fn a_comparison_shows_differences_as_given() {
    let page = compared(&Sample::new());
    let html = page.html();
    for expected in ["0.015 <small>[-0.005, 0.025]</small>", "+0.015", "-0.004", "the folds &lt;differ&gt;", "macro-F1"] {
        assert!(html.contains(expected), "{expected}");
    }
    assert_eq!(panels(html, "Paired differences").len(), 1);
    assert_eq!(panels(html, "F1 of every label")[0].2.matches("<circle").count(), 6);
}

#[test]
fn judged_rows_come_back_as_they_were() {
    let sample = Sample::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.jsonl");
    sample.rows.write(&path, &sample.labels).unwrap();
    assert_eq!(ScoredRows::read(&path, &sample.labels).unwrap(), sample.rows);
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), ROWS);

    let refused = |path: &Path, text: &str, expected: &str| {
        std::fs::write(path, text).unwrap();
        let found = ScoredRows::read(path, &sample.labels).unwrap_err().to_string();
        assert!(found.contains("rows.jsonl: expected judged rows of 3 labels") && found.contains(expected), "{found}");
    };
    refused(&path, "", "the end of the file");
    refused(&path, &text.replacen("\"joy\"", "\"jo\"", 1), "the label \"jo\"");
    refused(&path, &text.replacen("row-7\"", "row-5\"", 1), "line 8: the id \"row-5\" once more");
    refused(&path, "{\"id\":\"1\",\"held\":[],\"given\":[],\"logits\":[1.0],\"probabilities\":[0.5,0.5,0.5]}\n", "line 1: 1 logits");
    refused(&path, &format!("{}no\n", text), &format!("line {}: ", ROWS + 1));
    let wrong = View::new(&sample.labels, &sample.set, &sample.rows, &[0.5], Activation::Sigmoid).map(|_| ()).unwrap_err().to_string();
    assert_eq!(wrong, "judged rows: expected 3 thresholds, found 1");
}
