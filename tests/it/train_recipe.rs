//! Recipes: what stands in a file, what an override changes, and what is refused.

use std::path::Path;

use limbic::nn::{Storage, Targets};
use limbic::spec::{Pooling, Precision};
use limbic::train::objective::LossKind;
use limbic::train::recipe::{Averaging, FinalFit, Recipe, Split, locate};
use limbic::train::schedule::{ScheduleKind, Warmup};
use limbic::train::weights::Weighting;

const LEAST: &str = r#"
[model]
base = "some/base"
[data]
format = "jsonl"
train = "train.jsonl"
labels = ["anger", "joy"]
[optimizer]
lr = 1e-4
[train]
epochs = 3
[bundle]
name = "tiny"
version = "1"
out = "out"
golden = "golden.txt"
"#;

fn load(overrides: &[&str]) -> Result<Recipe, String> {
    parse(LEAST, overrides)
}

fn parse(text: &str, overrides: &[&str]) -> Result<Recipe, String> {
    let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
    Recipe::parse(Path::new("recipe.toml"), text, &overrides).map_err(|error| error.to_string())
}

#[test]
fn what_is_left_out_is_filled_in() {
    let recipe = load(&[]).unwrap();
    assert_eq!((recipe.model.pooling, recipe.model.max_length, recipe.model.name.as_str()), (Pooling::Mean, 128, "base"));
    assert_eq!((recipe.folds.split, recipe.train.batch, recipe.train.shards), (Split::Stratified { k: 5, only: None }, 32, 2));
    assert_eq!(recipe.final_fit, FinalFit::Refit);
    assert_eq!((recipe.schedule, recipe.warmup), (ScheduleKind::Linear, Warmup::Ratio(0.0)));
    assert_eq!((recipe.loss.kind, recipe.loss.weighting, recipe.loss.smoothing), (LossKind::CrossEntropy, Weighting::None, 0.0));
    assert_eq!((recipe.optimizer.head_lr, recipe.optimizer.layer_decay), (recipe.optimizer.lr, 1.0));
    assert_eq!((recipe.train.averaging, recipe.bundle.precision), (Averaging::None, Precision::Fp32));
    assert_eq!((recipe.adapter, recipe.storage, recipe.generation, recipe.train.checkpointing), (None, Storage::F32, None, false));
    let writes = load(&["generation.prompt={text}", "generation.end=<end>"]).unwrap();
    assert_eq!((writes.model.pooling, writes.generation.unwrap().beams), (Pooling::LastToken, 64));
    let adapted = load(&["adapter.rank=8", "adapter.alpha=16", "quantization.storage=nf4"]).unwrap();
    assert_eq!((adapted.storage, adapted.adapter.unwrap().targets), (Storage::Nf4 { double: true }, Targets::AllLinear));
}

#[test]
fn overrides_are_typed_by_toml() {
    let sets = [
        "train.epochs=4",
        "optimizer.lr = 2e-5",
        "schedule.warmup=300",
        "schedule.kind=plateau",
        "data.train=../a b/x.tsv",
        "data.labels=[\"x\", \"y\", \"z\"]",
        "bundle.name=\"quoted\"",
        "early_stopping.patience=2",
        "loss.weighting=pos_weight",
        "loss.power=0.5",
        "optimizer.clip=inf",
    ];
    let recipe = load(&sets).unwrap();
    assert_eq!((recipe.train.epochs, recipe.optimizer.lr, recipe.warmup), (4, 2e-5, Warmup::Steps(300)));
    assert_eq!(recipe.schedule, ScheduleKind::Plateau { factor: 0.1, patience: 10 });
    assert_eq!((recipe.data.train.as_path(), recipe.data.labels.len()), (Path::new("../a b/x.tsv"), 3));
    assert_eq!((recipe.bundle.name.as_str(), recipe.optimizer.clip), ("quoted", f64::INFINITY));
    assert_eq!(recipe.loss.weighting, Weighting::PosWeight { cap: f64::INFINITY, power: 0.5 });
    assert_eq!(recipe.train.early_stopping.unwrap().patience, 2);
}

#[test]
fn the_echo_reads_back_to_the_same_recipe() {
    let variants: [&[&str]; 20] = [
        &[],
        &["loss.weighting=class_weight", "schedule.kind=cosine", "schedule.warmup=0.1", "data.dev=dev.jsonl", "data.rows=100"],
        &["loss.weighting=pos_weight", "loss.cap=8.0", "schedule.kind=plateau", "schedule.warmup=7", "train.ema=0.999"],
        &["thresholds.policy=per_label_f1", "thresholds.shrink=0.5", "calibration.kind=auto", "bundle.precision=int8_weights"],
        &["folds.k=10", "folds.only=9", "folds.trained_rows=2000", "folds.held_out_rows=1000", "final.fit=fold"],
        &["folds.kind=holdout", "folds.fraction=0.3", "folds.stratify=false"],
        &["data.dev=dev.jsonl", "final.include_dev=true", "repeat.seeds=[1, 2]"],
        &["thresholds.policy=global_f1", "early_stopping.patience=3", "early_stopping.min_delta=0.001", "train.restore=best"],
        &["thresholds.policy=expected_f1", "thresholds.shrink=0.25"],
        &["thresholds.policy=target_precision", "thresholds.value=0.8"],
        &["thresholds.policy=target_recall", "thresholds.value=1.0"],
        &["thresholds.policy=choose"],
        &["thresholds.policy=choose", "thresholds.objective=macro_f1_and_jaccard"],
        &[
            "loss.kind=focal",
            "loss.gamma=1.5",
            "loss.smoothing=0.1",
            "optimizer.head_lr=1e-3",
            "optimizer.layer_decay=0.9",
            "train.swa=0.25",
        ],
        &["loss.kind=asymmetric", "loss.gamma_positive=1.0", "loss.gamma_negative=3.0", "loss.margin=0.1", "loss.weighting=pos_weight"],
        &["distil.teacher=self", "distil.weight=0.7", "distil.folds=4", "distil.temperature=2.0"],
        &["distil.teacher=runs/teacher", "distil.weight=1.0", "distil.calibrated=true"],
        &[
            "adapter.rank=8",
            "adapter.alpha=16",
            "adapter.dropout=0.1",
            "adapter.targets=[\"q_proj\", \"v_proj\"]",
            "adapter.bias=lora_only",
            "adapter.rs_lora=true",
            "quantization.storage=nf4",
            "train.checkpointing=true",
        ],
        &[
            "adapter.rank=8",
            "adapter.alpha=16",
            "quantization.storage=int8",
            "generation.prompt=\"{labels} of {text}:\"",
            "generation.end=<end>",
            "generation.beams=8",
        ],
        &[
            "generation.chat=true",
            "generation.prompt={text}",
            "generation.system=List {labels}.",
            "generation.date=2024-12-07",
            "generation.variables.enable_thinking=false",
            "generation.markers=[\"<turn>\"]",
        ],
    ];
    for overrides in variants {
        let recipe = load(overrides).unwrap();
        assert_eq!(parse(&recipe.echo(), &[]).unwrap(), recipe, "{}", recipe.echo());
    }
}

const FURTHER: &str = r#"
[[stages]]
kind = "classify"
epochs = 2
loss = { kind = "focal", gamma = 1.0 }
[[stages.data]]
name = "one"
format = "goemotions"
path = "one.tsv"
labels = ["a", "b"]
[[stages]]
kind = "classify"
epochs = 1
lr = 3e-5
data = [{ name = "two", format = "jsonl", path = "two.jsonl", labels = ["c"], rows = 10, weight = 0.5 }]
[[multitask]]
name = "three"
format = "jsonl"
path = "three.jsonl"
labels = ["d"]
"#;

#[test]
fn data_beside_a_runs_own_stand_in_sections_that_may_repeat() {
    let text = format!("{LEAST}{FURTHER}");
    let recipe = parse(&text, &["stages.1.epochs=4", "multitask.0.weight=0.25", "stages.0.data.0.rows=7"]).unwrap();
    assert_eq!((recipe.stages.len(), recipe.multitask.len()), (2, 1));
    assert_eq!((recipe.stages[0].lr, recipe.stages[1].lr, recipe.stages[1].epochs), (1e-4, 3e-5, 4));
    assert_eq!((recipe.multitask[0].weight, recipe.multitask[0].licence.as_str()), (0.25, "unknown"));
    assert_eq!(parse(&recipe.echo(), &[]).unwrap(), recipe, "{}", recipe.echo());
    let cases: &[(&[&str], &str)] = &[
        (&["stages.0.epoch=1"], "unknown recipe key stages.epoch; did you mean stages.epochs?"),
        (&["stages.0.data.0.wieght=1"], "unknown recipe key stages.data.wieght; did you mean stages.data.weight?"),
        (&["stages.0.loss.gama=1"], "unknown recipe key stages.loss.gama; did you mean stages.loss.gamma?"),
        (&["stages.2.epochs=1"], "--set stages.2.epochs=1: expected section.key=value"),
        (&["stages.1.data=[]"], "stages.data is none: expected at least one [[stages.data]]"),
        (&["stages.1.kind=other"], "unknown variant `other`"),
        (&["stages.1.probability=0.2"], "stages.probability is set: expected no value unless stages.kind is masked_lm"),
        (&["stages.0.kind=masked_lm"], "stages.loss is set: expected no value unless stages.kind is classify"),
        (&["multitask.0.weight=0.0"], "multitask is 0: expected a positive weight"),
    ];
    for (overrides, expected) in cases {
        let found = parse(&text, overrides).unwrap_err();
        assert!(found.contains(expected), "{overrides:?}: {found}");
    }
    assert_eq!(cases.len(), 9);
}

#[test]
fn hashes_follow_what_they_stand_for() {
    let hashes =
        |sets: &[&str]| load(&[&["data.dev=dev.jsonl"], sets].concat()).map(|recipe| (recipe.hash(), recipe.fitting_hash())).unwrap();
    let (whole, fitting) = hashes(&[]);
    for later in [
        "calibration.kind=isotonic",
        "thresholds.policy=global_f1",
        "thresholds.policy=choose",
        "bundle.name=other",
        "repeat.seeds=[1]",
        "final.include_dev=true",
    ] {
        let (changed, same) = hashes(&[later]);
        assert!(changed != whole && same == fitting, "{later}");
    }
    for earlier in
        ["train.seed=7", "loss.weighting=class_weight", "bundle.precision=int8_weights", "folds.k=3", "folds.only=1", "model.max_length=64"]
    {
        let (changed, refitted) = hashes(&[earlier]);
        assert!(changed != whole && refitted != fitting, "{earlier}");
    }
}

#[test]
fn wrong_recipes_are_refused() {
    let cases: &[(&[&str], &str)] = &[
        (&["optimizer.lrr=1"], "unknown recipe key optimizer.lrr; did you mean optimizer.lr?"),
        (&["train.lr=1"], "unknown recipe key train.lr; did you mean optimizer.lr?"),
        (&["modle.base=x"], "unknown recipe key modle; did you mean"),
        (&["train.epochs"], "--set train.epochs: expected section.key=value"),
        (&["epochs=3"], "--set epochs=3: expected section.key=value"),
        (&["train.epochs=0"], "train.epochs is 0: expected at least 1"),
        (&["train.epochs=three"], "invalid type: string \"three\""),
        (&["optimizer.lr=2.0"], "optimizer.lr is 2: expected a number in (0, 1]"),
        (&["optimizer.lr=nan"], "optimizer.lr is NaN: expected a number in (0, 1]"),
        (&["schedule.warmup=1.5"], "schedule.warmup is 1.5: expected a share in [0, 1) or a whole number of steps"),
        (&["schedule.factor=0.5"], "schedule.factor and schedule.patience is set: expected no value unless schedule.kind is plateau"),
        (&["distil.weight=0.5"], "distil.teacher is missing: \"self\", or the folder of a finished run"),
        (&["distil.teacher=self"], "distil.weight is missing"),
        (
            &["distil.teacher=runs/x", "distil.weight=0.5", "distil.seeds=3"],
            "distil.seeds is set: expected no value unless distil.teacher is self",
        ),
        (&["loss.gamma=3.0"], "loss.gamma is set: expected no value unless loss.kind is focal"),
        (&["loss.margin=0.1"], "loss.margin is set: expected no value unless loss.kind is asymmetric"),
        (&["loss.smoothing=1.0"], "loss.smoothing is 1: expected a number in [0, 1)"),
        (&["optimizer.layer_decay=1.5"], "optimizer.layer_decay is 1.5: expected a number in (0, 1]"),
        (&["train.ema=0.9", "train.swa=0.5"], "train.swa is set: expected no value beside train.ema"),
        (&["loss.cap=3.0"], "loss.cap is set: expected no value unless loss.weighting is pos_weight"),
        (&["loss.weighting=focal"], "unknown variant `focal`, expected one of `none`, `class_weight`, `pos_weight`"),
        (&["folds.k=1"], "folds.k is 1: expected at least 2"),
        (&["folds.only=5"], "folds.only is 5: expected a fold below folds.k, 5, counted from zero"),
        (&["folds.fraction=0.3"], "folds.fraction is set: expected no value unless folds.kind is holdout"),
        (&["folds.kind=holdout"], "folds.fraction is missing: the share of rows that is held out"),
        (&["folds.kind=holdout", "folds.fraction=1.0"], "folds.fraction is 1: expected a share in (0, 1)"),
        (&["folds.kind=holdout", "folds.fraction=0.3", "folds.k=3"], "folds.k is set: expected no value unless folds.kind is stratified"),
        (&["folds.trained_rows=100"], "folds.trained_rows is set: expected no value unless one fold is fitted"),
        (&["final.fit=fold"], "final.fit is fold: expected refit, unless one fold is fitted"),
        (&["repeat.seeds=[42]"], "repeat.seeds is 42: expected seeds different from train.seed and from one another"),
        (&["repeat.seeds=[1, 2, 1]"], "repeat.seeds is 1: expected seeds different from train.seed and from one another"),
        (&["final.include_dev=true"], "final.include_dev is true: expected false without data.dev"),
        (&["final.include_dev=true", "folds.only=0", "final.fit=fold"], "final.include_dev is true: expected false when final.fit is fold"),
        (&["data.labels=[\"a\", \"a\"]"], "data.labels is label \"a\" stands twice: expected distinct label names"),
        (&["thresholds.shrink=0.5"], "thresholds.shrink is set: expected no value unless thresholds.policy is per_label_f1 or expected_f1"),
        (&["thresholds.objective=jaccard"], "thresholds.objective is set: expected no value unless thresholds.policy is choose"),
        (&["thresholds.policy=choose", "thresholds.value=0.5"], "expected no value unless thresholds.policy is fixed, target_precision"),
        (&["thresholds.policy=choose", "folds.k=2"], "folds.k is 2: expected at least 3, because thresholds.policy is choose"),
        (&["thresholds.policy=target_recall"], "thresholds.value is missing: the precision or recall that each label shall reach"),
        (&["thresholds.policy=target_precision", "thresholds.value=0.0"], "thresholds.value is 0: expected a number in (0, 1]"),
        (&["early_stopping.min_delta=0.1"], "early_stopping.patience is missing: evaluations without improvement that are borne"),
        (&["train.seed=-1"], "recipe.toml: invalid value: integer `-1`"),
    ];
    for (overrides, expected) in cases {
        let found = load(overrides).unwrap_err();
        assert!(found.contains(expected), "{overrides:?}: {found}");
    }
    assert_eq!(cases.len(), 42);
    for (key, line) in [("model.base", "base = \"some/base\"\n"), ("optimizer.lr", "lr = 1e-4\n"), ("bundle.out", "out = \"out\"\n")] {
        let found = parse(&LEAST.replacen(line, "", 1), &[]).unwrap_err();
        assert!(found.starts_with(&format!("{key} is missing: ")), "{found}");
    }
    assert!(parse("[train\n", &[]).unwrap_err().contains("line 1"));
    assert_eq!(parse("train = 3", &[]).unwrap_err(), "train: expected a section of keys, found a value");
    let missing = Recipe::load(Path::new("no/recipe.toml"), &[]).unwrap_err().to_string();
    assert!(missing.starts_with("no/recipe.toml: expected a readable recipe: "), "{missing}");
}

#[test]
fn adapters_and_prompts_that_cannot_be_are_refused() {
    let cases: &[(&[&str], &str)] = &[
        (&["adapter.rank=8"], "adapter.alpha is missing: what the adapter is scaled by"),
        (&["adapter.rank=0", "adapter.alpha=1"], "adapter.rank is 0: expected at least 1"),
        (&["adapter.rank=8", "adapter.alpha=1", "adapter.targets=all"], "adapter.targets is all: expected \"all-linear\", or a list"),
        (&["adapter.rank=8", "adapter.alpha=1", "adapter.dropout=1.0"], "adapter.dropout is 1: expected a number in [0, 1)"),
        (&["adapter.dora=true"], "unknown recipe key adapter.dora"),
        (&["quantization.storage=nf4"], "quantization.storage is set: expected no value unless there is an [adapter]"),
        (
            &["adapter.rank=8", "adapter.alpha=1", "quantization.storage=int8", "quantization.double=true"],
            "quantization.double is set: expected no value unless quantization.storage is nf4",
        ),
        (
            &["adapter.rank=8", "adapter.alpha=1", "distil.teacher=self", "distil.weight=0.5"],
            "distil is set: expected no value unless there is no [adapter]",
        ),
        (&["generation.end=<end>"], "generation.prompt is missing: what the model is asked"),
        (
            &["generation.prompt=a text", "generation.end=<end>"],
            "generation.prompt is one that holds it 0 times: expected a prompt that holds {text} once",
        ),
        (&["generation.prompt={text}"], "generation.end is missing: the control token that ends an answer"),
        (
            &["generation.prompt={text}", "generation.end=<end>", "generation.date=2024-12-07"],
            "generation.date is set: expected no value unless generation.chat is true",
        ),
        (
            &["generation.prompt={text}", "generation.end=<end>", "loss.weighting=pos_weight"],
            "loss is set: expected no value unless there is no [generation]",
        ),
        (&["generation.prompt={text}", "generation.end=<end>", "model.pooling=mean"], "model.pooling is Mean: expected last_token"),
        (&["generation.prompt={text}", "generation.end=<end>", "generation.beams=0"], "generation.beams is 0: expected 1 to 4096"),
    ];
    for (overrides, expected) in cases {
        let found = load(overrides).unwrap_err();
        assert!(found.contains(expected), "{overrides:?}: {found}");
    }
    assert_eq!(cases.len(), 15);
}

#[test]
fn relative_inputs_lie_in_the_current_folder_or_beside_the_recipe() {
    let folder = tempfile::tempdir().unwrap();
    let (current, beside) = (folder.path().join("current"), folder.path().join("recipes"));
    for path in [current.join("both"), beside.join("both"), beside.join("far")] {
        std::fs::create_dir_all(&path).unwrap();
    }
    let find = |path: &str| locate(Path::new(path), &current, &beside);
    assert_eq!(find("both"), current.join("both"));
    assert_eq!(find("far"), beside.join("far"));
    assert_eq!(find("nowhere"), current.join("nowhere"));
    assert_eq!(find("/abs"), Path::new("/abs"));
}
