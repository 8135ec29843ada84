//! Training in phases: what goes on, what begins anew, and that no key is dropped in silence.

use std::path::Path;

use limbic::train::phases::lay_out;
use limbic::train::recipe::Recipe;
use limbic::train::{StepLine, TrainError};

use super::support::repo_root;
use super::train_trial::Trial;

/// The smoke recipe with a schedule and phases of its own: 3 epochs at a peak of 1, ten steps each.
fn recipe(schedule: &str, phases: &str) -> Result<Recipe, String> {
    let text = std::fs::read_to_string(repo_root().join("models/tweet-emotion-minilm/recipe.smoke.toml")).unwrap();
    let (begin, end) = (text.find("[schedule]").unwrap(), text.find("[train]").unwrap());
    let text = format!("{}[schedule]\n{schedule}\n{}{phases}", &text[..begin], &text[end..]);
    let set = ["optimizer.lr=1.0".to_owned(), "train.epochs=3".to_owned()];
    Recipe::parse(Path::new("recipe.toml"), &text, &set).map_err(|error| error.to_string())
}

/// The rate at the first and at the last step of every phase.
fn check(schedule: &str, phases: &str, expected: &[(f64, f64)]) {
    let recipe = recipe(schedule, phases).unwrap();
    let found: Vec<(f64, f64)> = lay_out(&recipe, 10)
        .unwrap()
        .iter()
        .map(|phase| (phase.schedule.rate(phase.offset), phase.schedule.rate(phase.offset + phase.steps - 1)))
        .collect();
    let near = |(a, b): (&(f64, f64), &(f64, f64))| (a.0 - b.0).abs() < 1e-12 && (a.1 - b.1).abs() < 1e-12;
    assert!(found.len() == expected.len() && found.iter().zip(expected).all(near), "{found:?}");
    let echoed = Recipe::parse(Path::new("echo.toml"), &recipe.echo(), &[]).unwrap();
    assert_eq!(echoed, recipe);
}

#[test]
fn each_phase_has_the_rates_it_asks_for() {
    let linear = "kind = \"linear\"";
    check(linear, "", &[(1.0, 1.0 / 30.0)]);
    // As transformers does on resuming with more epochs: the line is drawn anew to the new end.
    let resume = "[[phases]]\nstart = \"resume\"\nepochs = 2\n";
    check(linear, resume, &[(1.0, 1.0 / 30.0), (1.0 - 30.0 / 50.0, 1.0 / 50.0)]);
    // A changed rate is honoured, and stays for the phases after.
    let slower = format!("{resume}lr = 0.1\n{resume}");
    check(linear, &slower, &[(1.0, 1.0 / 30.0), (0.1 * 0.4, 0.1 / 50.0), (0.1 * (1.0 - 50.0 / 70.0), 0.1 / 70.0)]);
    // From weights alone: a schedule of its own, with its own warm-up; what follows resumes that.
    let fresh = "[[phases]]\nstart = \"weights\"\nepochs = 1\nwarmup = 5\n";
    check(linear, &format!("{fresh}{resume}"), &[(1.0, 1.0 / 30.0), (0.0, 1.0 / 5.0), (1.0 - 10.0 / 30.0, 1.0 / 30.0)]);
    // A warm-up that the steps before have not passed is honoured, under a plateau too.
    let plateau = "[[phases]]\nstart = \"resume\"\nepochs = 2\nwarmup = 40\nschedule = \"plateau\"\nfactor = 0.5\n";
    check(linear, plateau, &[(1.0, 1.0 / 30.0), (30.0 / 40.0, 1.0)]);
    check("kind = \"constant\"", resume, &[(1.0, 1.0), (1.0, 1.0)]);
}

#[test]
fn a_warm_up_is_honoured_or_refused() {
    let cases = [
        ("warmup = 30", "", "schedule: warmup takes 30 steps: expected fewer than the 30 steps of the schedule"),
        ("kind = \"plateau\"\nwarmup = 30", "", "schedule: warmup takes 30 steps: expected fewer than the 30 steps of the schedule"),
        (
            "",
            "[[phases]]\nstart = \"weights\"\nepochs = 1\nwarmup = 10\n",
            "phases[0]: warmup takes 10 steps: expected fewer than the 10 steps of the schedule",
        ),
        (
            "",
            "[[phases]]\nstart = \"resume\"\nepochs = 2\nwarmup = 30\n",
            "phases[0]: warmup takes 30 steps, and the phase resumes a schedule after 30, so that it would have no effect",
        ),
        (
            "",
            "[[phases]]\nstart = \"resume\"\nepochs = 2\n[[phases]]\nstart = \"resume\"\nepochs = 2\nwarmup = 0.1\n",
            "phases[1]: warmup takes 7 steps, and the phase resumes a schedule after 50, so that it would have no effect",
        ),
    ];
    for (schedule, phases, expected) in cases {
        let found = lay_out(&recipe(schedule, phases).unwrap(), 10).unwrap_err();
        assert!(matches!(found, TrainError::Schedule { .. }) && found.to_string().starts_with(expected), "{found}");
    }
    let refused = [
        ("[[phases]]\nepochs = 1\n", "phases.start is missing: weights, or resume"),
        ("[[phases]]\nstart = \"weights\"\n", "phases.epochs is missing: further passes over the rows"),
        ("[[phases]]\nstart = \"weights\"\nepochs = 1\nfactor = 0.5\n", "phases.factor and phases.patience is set"),
        ("[[phases]]\nstart = \"weights\"\nepoch = 1\n", "unknown recipe key phases.epoch; did you mean phases.epochs?"),
        ("[[phases]]\nstart = \"again\"\nepochs = 1\n", "unknown variant `again`, expected `weights` or `resume`"),
    ];
    for (phases, expected) in refused {
        let found = recipe("", phases).unwrap_err();
        assert!(found.contains(expected), "{found}");
    }
}

const CONSTANT: [&str; 5] = ["folds.k=2", "schedule.kind=constant", "schedule.warmup=0", "train.ema=0.9", "train.eval_every=5"];

fn phased(epochs: usize, phases: &str) -> Trial {
    let epochs = format!("train.epochs={epochs}");
    Trial::new(&[&CONSTANT[..], &[&epochs]].concat()).with(phases)
}

#[test]
fn a_resumed_phase_is_the_run_that_never_stopped_and_a_restarted_one_is_not() {
    let whole = phased(3, "");
    let resumed = phased(2, "[[phases]]\nstart = \"resume\"\nepochs = 1\n");
    let restarted = phased(2, "[[phases]]\nstart = \"weights\"\nepochs = 1\n");
    for trial in [&whole, &resumed, &restarted] {
        trial.finish();
    }
    let logits = |trial: &Trial| trial.json("fold-0/outcome.json")["logits"].clone();
    assert_eq!(logits(&whole), logits(&resumed));
    assert_ne!(logits(&whole), logits(&restarted));
    let record = |trial: &Trial| trial.json("refit/record.json")["phases"][0].as_str().unwrap().to_owned();
    assert!(record(&resumed).ends_with("and resumes: the optimiser's moments go on; learning rate 0.005"), "{}", record(&resumed));
    assert!(record(&restarted).contains("fresh optimiser, fresh schedule"), "{}", record(&restarted));
    assert!(String::from_utf8(restarted.file("report.md")).unwrap().contains("fold-0: phase 2 begins after step"));
}

#[test]
fn phases_that_were_stopped_continue_to_the_same_weights_bit_for_bit() {
    let phases = "[[phases]]\nstart = \"weights\"\nepochs = 1\nlr = 1e-3\nschedule = \"plateau\"\npatience = 0\n\
                  [[phases]]\nstart = \"resume\"\nepochs = 1\n";
    let trial = || {
        let mut trial = phased(1, phases);
        trial.set.push("train.restore=best".to_owned());
        trial
    };
    let (whole, stopped) = (trial(), trial());
    whole.finish();
    // Eight steps an epoch: stopped before, at and after the turn of a phase, with checkpoints at ten.
    for (phase, step) in [("fold-0", 8), ("fold-0", 12), ("fold-0", 17), ("fold-1", 23), ("refit", 11)] {
        let error = stopped.run(&|found, done| found == phase && done == step).0.map(|_| ()).unwrap_err();
        assert!(matches!(error, TrainError::Interrupted { .. }), "{error}");
    }
    stopped.finish();
    for name in ["fold-0/outcome.json", "fold-1/outcome.json", "refit/weights.safetensors", "refit/record.json"] {
        assert!(whole.file(name) == stopped.file(name), "{name} differs");
    }
    let rates: Vec<(u64, f64)> = String::from_utf8(whole.file("metrics.jsonl"))
        .unwrap()
        .lines()
        .filter_map(|line| serde_json::from_str::<StepLine>(line).ok())
        .filter(|line| line.phase == "fold-0")
        .map(|line| (line.epoch, line.lr))
        .collect();
    assert!(rates.iter().all(|&(epoch, lr)| if epoch == 0 { lr == 0.005 } else { lr <= 1e-3 }), "{rates:?}");
    assert_eq!(rates.last().unwrap().0, 2);
    // The plateau's falls are carried over the turn to the phase that resumes.
    let falls = rates.windows(2).filter(|pair| pair[0].0 > 0 && pair[1].1 > pair[0].1).count();
    assert_eq!(falls, 0, "{rates:?}");
}
