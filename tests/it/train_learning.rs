//! What a run's fits learn from: soft labels, stopped and continued.

use std::path::{Path, PathBuf};

use limbic::bundle::{Bundle, render};
use limbic::train::TrainError;

use super::support::fixture;
use super::train_trial::{Trial, never, scaled_base};

/// A quick run of the smoke recipe with these keys too.
fn trial(set: &[&str]) -> Trial {
    Trial::new(&[&["train.epochs=1", "folds.k=2", "train.checkpoint_every=3"], set].concat())
}

#[test]
fn a_student_of_itself_continues_to_the_same_weights_bit_for_bit() {
    let set = ["distil.teacher=self", "distil.seeds=2", "distil.weight=0.7", "distil.calibrated=true", "train.swa=0.5"];
    let (whole, stopped) = (trial(&set), trial(&set));
    whole.run(&never).0.unwrap();
    for (phase, step) in [("fold-0/teacher-0", 5), ("fold-0/teacher-1", 2), ("fold-0", 4), ("refit/teacher-1", 7), ("refit", 4)] {
        let error = stopped.run(&|found, done| found == phase && done == step).0.map(|_| ()).unwrap_err();
        assert!(matches!(error, TrainError::Interrupted { .. }), "{error}");
    }
    let (report, said) = stopped.run(&never);
    report.unwrap();
    assert!(said.contains("refit/teacher-1: finished before, skipped") && said.contains("refit: continues after step"), "{said}");
    let mut files = vec!["fold-0/outcome.json", "fold-1/outcome.json", "refit/weights.safetensors"];
    files.extend(["fold-0/teacher-0/outcome.json", "fold-1/teacher-1/outcome.json", "refit/teacher-0/outcome.json"]);
    for name in files {
        assert!(whole.file(name) == stopped.file(name), "{name} differs");
    }
    assert!(whole.file("fold-0/teacher-0/outcome.json") != whole.file("fold-0/teacher-1/outcome.json"), "teachers have seeds of their own");
}

#[test]
fn a_teacher_reads_the_students_token_ids() {
    let (outcome, _) =
        trial(&["distil.teacher=self", "distil.weight=0.5", "distil.bases=[\"tests/it/fixtures/tiny-roberta\"]"]).run(&never);
    let error = outcome.map(|_| ()).unwrap_err();
    assert!(matches!(&error, TrainError::TeacherTokenizer { base } if base.ends_with("tiny-roberta")), "{error}");
}

#[test]
fn a_teachers_word_changes_what_is_learnt_and_nothing_else() {
    let logits = |set: &[&str]| {
        let trial = trial(set);
        trial.run(&never).0.unwrap();
        let outcome: serde_json::Value = serde_json::from_slice(&trial.file("fold-0/outcome.json")).unwrap();
        let logits: Vec<f64> = outcome["logits"].as_array().unwrap().iter().map(|logit| logit.as_f64().unwrap()).collect();
        (outcome["rows"].clone(), outcome["record"]["positive_weights"].clone(), logits)
    };
    let plain = logits(&[]);
    let mut seen = vec![plain.2.clone()];
    let other = scaled_base(1.1);
    let other = format!("distil.bases=[\"{}\"]", other.path().display());
    for set in [
        &["distil.teacher=self", "distil.seeds=1", "distil.weight=0.5"][..],
        &["distil.teacher=self", "distil.seeds=1", "distil.weight=0.5", "distil.temperature=3.0"],
        &["distil.teacher=self", "distil.seeds=1", "distil.weight=0.5", "distil.folds=2"],
        &["distil.teacher=self", "distil.seeds=1", "distil.weight=0.5", "distil.calibrated=true"],
        &["distil.teacher=self", "distil.seeds=1", "distil.weight=0.5", &other],
    ] {
        let (rows, weights, logits) = logits(set);
        // The loss is weighted by what people said.
        assert_eq!((&rows, &weights), (&plain.0, &plain.1));
        assert!(!seen.contains(&logits), "{set:?} changes nothing");
        seen.push(logits);
    }
}

#[test]
fn a_finished_run_teaches_another_over_the_same_rows() {
    let teacher = trial(&[]);
    teacher.run(&never).0.unwrap();
    let folder = teacher.folder.path().join("run").display().to_string();
    for calibrated in ["distil.calibrated=false", "distil.calibrated=true"] {
        let student = trial(&[&format!("distil.teacher={folder}"), "distil.weight=0.5", calibrated, "train.seed=7"]);
        let report = student.run(&never).0.unwrap();
        assert!(report.warnings.iter().any(|warning| warning.contains("out-of-fold figures are flattered")), "{:?}", report.warnings);
        assert!(String::from_utf8(student.file("identity.json")).unwrap().contains("\"teacher\": \"sha256:"));
    }
    let fewer = trial(&[&format!("distil.teacher={folder}"), "distil.weight=0.5", "data.rows=100"]);
    let error = fewer.run(&never).0.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("identity.json: expected a run over the rows of data.train"), "{error}");
    let nowhere = trial(&["distil.teacher=no/such/run", "distil.weight=0.5"]);
    let error = nowhere.run(&never).0.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("no/such/run/identity.json: expected the folder of a finished run"), "{error}");
}

/// Sentences of two kinds in a file, and the run's own sentence `own` among them.
fn other_data(folder: &Path, own: &str) -> PathBuf {
    let things = ["lamp", "boat", "cake", "road", "song", "coat", "door", "film"];
    let mut rows: Vec<_> = (things.iter().enumerate())
        .flat_map(|(index, thing)| {
            let row = |kind: &str, text: String| serde_json::json!({"id": format!("{kind}-{index}"), "text": text, "labels": [kind]});
            [row("praise", format!("what a fine {thing} you made")), row("blame", format!("this {thing} is broken and useless"))]
        })
        .collect();
    rows.push(serde_json::json!({"id": "own", "text": own.to_uppercase(), "labels": []}));
    let path = folder.join("other.jsonl");
    std::fs::write(&path, rows.iter().map(|row| format!("{row}\n")).collect::<String>()).unwrap();
    path
}

/// A set of a recipe, under this heading.
fn set(heading: &str, name: &str, path: &Path) -> String {
    let path = path.display();
    format!(
        "\n[[{heading}]]\nname = \"{name}\"\nlicence = \"CC0-1.0\"\nformat = \"jsonl\"\npath = \"{path}\"\nlabels = [\"praise\", \"blame\"]\n"
    )
}

/// A sentence that stands in the run's training file.
fn own_sentence() -> String {
    let line: serde_json::Value =
        serde_json::from_str(std::fs::read_to_string(fixture("smoke/train.jsonl")).unwrap().lines().next().unwrap()).unwrap();
    line["text"].as_str().unwrap().to_owned()
}

#[test]
fn stages_come_first_and_labels_learnt_along_are_not_shipped() {
    let folder = tempfile::tempdir().unwrap();
    let path = other_data(folder.path(), &own_sentence());
    let sections = [
        "\n[[stages]]\nkind = \"classify\"\nepochs = 2\nlr = 1e-3\nbatch = 4\n",
        "[stages.loss]\nkind = \"focal\"\n",
        &set("stages.data", "first", &path),
        &set("stages.data", "second", &path),
        "rows = 9\n",
        &set("multitask", "third", &path),
        "weight = 0.5\n",
    ]
    .concat();
    let [whole, stopped, plain] = [&sections, &sections, ""].map(|sections| trial(&[]).with(sections));
    let report = whole.run(&never).0.unwrap();
    for (phase, step) in [("stage-0", 3), ("stage-0", 4), ("fold-1", 4)] {
        let error = stopped.run(&|found, done| found == phase && done == step).0.map(|_| ()).unwrap_err();
        assert!(matches!(error, TrainError::Interrupted { .. }), "{error}");
    }
    let (again, said) = stopped.run(&never);
    again.unwrap();
    assert!(said.contains("stage-0: 16 rows of first; 1 were left out because their texts stand in the run's own files"), "{said}");
    assert!(said.contains("stage-0: finished before, skipped"), "{said}");
    for name in ["stage-0/weights.safetensors", "fold-0/outcome.json", "refit/weights.safetensors"] {
        assert!(whole.file(name) == stopped.file(name), "{name} differs");
    }
    let phases: Vec<(&str, usize)> = report.fits.iter().map(|fit| (fit.phase.as_str(), fit.rows)).collect();
    // 240 rows of the run's own, and 16 that are learnt along.
    assert_eq!((phases[0], phases[3]), (("stage-0", 16 + 9), ("refit", 240 + 16)));
    assert_eq!((report.fits[0].label_weights.len(), report.fits[3].label_weights[4..].to_vec()), (4, vec![0.5, 0.5]));

    let bundle = Bundle::open(&whole.bundle()).unwrap();
    assert_eq!(bundle.labels().names(), ["joy", "sadness", "anger", "fear"]);
    let further = &bundle.card().provenance.further;
    let told: Vec<(&str, &str, usize)> = further.iter().map(|set| (set.purpose.as_str(), set.description.as_str(), set.rows)).collect();
    assert_eq!(told, [("stage-0", "first", 16), ("stage-0", "second", 9), ("multitask", "third", 16)]);
    assert!(render(&bundle).contains("third, 16 rows (CC0-1.0), sha256:"));
    plain.run(&never).0.unwrap();
    assert!(plain.file("fold-0/outcome.json") != whole.file("fold-0/outcome.json"), "other data change what is learnt");
}

#[test]
fn other_data_of_which_nothing_is_left_are_refused() {
    let path = fixture("smoke/train.jsonl");
    let labels = "labels = [\"joy\", \"sadness\", \"anger\", \"fear\"]";
    let text = set("multitask", "the same", &path).replace("labels = [\"praise\", \"blame\"]", labels);
    let error = trial(&[]).with(&text).run(&never).0.map(|_| ()).unwrap_err().to_string();
    assert_eq!(error, "multitask: no row of the same is left, 240 have texts that stand in the run's own files");
}

#[test]
fn words_are_learnt_before_labels() {
    let folder = tempfile::tempdir().unwrap();
    let path = other_data(folder.path(), &own_sentence());
    let stage = "\n[[stages]]\nkind = \"masked_lm\"\nepochs = 6\nlr = 1e-2\nbatch = 4\nprobability = 0.3\n";
    let sections = [stage, &set("stages.data", "sentences", &path)].concat();
    let [whole, stopped] = [&sections, &sections].map(|sections| trial(&["folds.only=0", "final.fit=fold"]).with(sections));
    let report = whole.run(&never).0.unwrap();
    for step in [2, 5] {
        let error = stopped.run(&|found, done| found == "stage-0" && done == step).0.map(|_| ()).unwrap_err();
        assert!(matches!(error, TrainError::Interrupted { .. }), "{error}");
    }
    stopped.run(&never).0.unwrap();
    for name in ["stage-0/weights.safetensors", "fold-0/outcome.json"] {
        assert!(whole.file(name) == stopped.file(name), "{name} differs");
    }
    assert_eq!((report.fits[0].phase.as_str(), report.fits[0].rows, report.fits[0].steps), ("stage-0", 16, 6 * 4));
    let lines = String::from_utf8(whole.file("metrics.jsonl")).unwrap();
    let steps = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let losses: Vec<f64> = steps.filter(|line| line["phase"] == "stage-0").map(|line| line["loss"].as_f64().unwrap()).collect();
    let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
    assert_eq!(losses.len(), 24);
    assert!(mean(&losses[18..]) < mean(&losses[..6]) - 0.5, "{losses:?}");
}
