//! What a run's fits learn from: soft labels, stopped and continued.

use limbic::train::TrainError;

use super::train_trial::{Trial, never};

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
    for set in [
        &["distil.teacher=self", "distil.seeds=1", "distil.weight=0.5"][..],
        &["distil.teacher=self", "distil.seeds=1", "distil.weight=0.5", "distil.temperature=3.0"],
        &["distil.teacher=self", "distil.seeds=1", "distil.weight=0.5", "distil.folds=2"],
        &["distil.teacher=self", "distil.seeds=1", "distil.weight=0.5", "distil.calibrated=true"],
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
