//! Runs of smoke recipes for tests: a folder, what is put into the recipe, and what the run said.

use std::cell::Cell;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use limbic::bundle::Bundle;
use limbic::train::base::HubOptions;
use limbic::train::recipe::Recipe;
use limbic::train::tracking::TrackingEnvironment;
use limbic::train::{Progress, RunReport, Surroundings, TrainError};

use super::support::{fixture, onnxruntime, repo_root};

/// A folder for one run, and what was put into the recipe.
pub struct Trial {
    pub folder: tempfile::TempDir,
    pub set: Vec<String>,
    pub tracking: TrackingEnvironment,
    recipe: &'static str,
    without: &'static str,
    with: String,
}

impl Trial {
    /// Of the default model's smoke recipe.
    pub fn new(set: &[&str]) -> Self {
        Self::of("models/tweet-emotion-minilm/recipe.smoke.toml", set)
    }

    pub fn of(recipe: &'static str, set: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let out = format!("bundle.out=\"{}\"", folder.path().join("bundle").display());
        let set = set.iter().map(|&text| text.to_owned()).chain([out]).collect();
        Self { folder, set, tracking: TrackingEnvironment::default(), recipe, without: "", with: String::new() }
    }

    /// Takes a line out of the recipe, which an override cannot.
    pub fn without(self, line: &'static str) -> Self {
        Self { without: line, ..self }
    }

    /// Puts text at the recipe's end: sections that an override cannot reach.
    pub fn with(self, text: &str) -> Self {
        Self { with: text.to_owned(), ..self }
    }

    pub fn bundle(&self) -> PathBuf {
        self.folder.path().join("bundle")
    }

    /// Runs the recipe; `interrupt` may stop it. Also returns what it said.
    pub fn run(&self, interrupt: &dyn Fn(&str, u64) -> bool) -> (Result<RunReport, TrainError>, String) {
        self.within(interrupt, |recipe, around, out| limbic::train::run(recipe, around, out))
    }

    /// Does `what` with the recipe in the trial's surroundings. Also returns what it said.
    pub fn within<T>(
        &self,
        interrupt: &dyn Fn(&str, u64) -> bool,
        what: impl FnOnce(&Recipe, &Surroundings<'_>, &mut dyn Write) -> T,
    ) -> (T, String) {
        let path = repo_root().join(self.recipe);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(self.without), "{}: no {}", self.recipe, self.without);
        let text = text.replacen(self.without, "", 1) + &self.with;
        let recipe = Recipe::parse(&path, &text, &self.set).unwrap_or_else(|error| panic!("{error}"));
        let ticks = Cell::new(0);
        let clock = || {
            ticks.set(ticks.get() + 1);
            Duration::from_millis(1_700_000_000_000 + ticks.get())
        };
        let around = Surroundings {
            current: repo_root(),
            recipe_folder: path.parent().unwrap(),
            run: &self.folder.path().join("run"),
            hub: HubOptions { cache: self.folder.path().join("hub"), endpoint: None, token: None },
            onnxruntime: &onnxruntime(),
            git: None,
            tracking: self.tracking.clone(),
            clock: &clock,
            progress: Progress::Lines,
            interrupt,
        };
        let mut said = Vec::new();
        let outcome = what(&recipe, &around, &mut said);
        (outcome, String::from_utf8(said).unwrap())
    }

    /// Runs to the end; panics with what was said otherwise.
    pub fn finish(&self) -> (RunReport, Bundle) {
        let (report, said) = self.run(&never);
        let report = report.unwrap_or_else(|error| panic!("{error}\n{said}"));
        (report, Bundle::open(&self.bundle()).unwrap())
    }

    pub fn json(&self, name: &str) -> serde_json::Value {
        serde_json::from_slice(&self.file(name)).unwrap()
    }

    pub fn file(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder.path().join("run").join(name)).unwrap()
    }
}

/// Never stops a run.
pub fn never(_: &str, _: u64) -> bool {
    false
}

/// The tiny base model with every weight multiplied, in a folder of its own.
pub fn scaled_base(factor: f32) -> tempfile::TempDir {
    let base = tempfile::tempdir().unwrap();
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        std::fs::copy(fixture("tiny-bert").join(name), base.path().join(name)).unwrap();
    }
    let path = base.path().join("model.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    let header = usize::try_from(u64::from_le_bytes(bytes[..8].try_into().unwrap())).unwrap();
    for number in bytes[8 + header..].as_chunks_mut::<4>().0 {
        *number = (f32::from_le_bytes(*number) * factor).to_le_bytes();
    }
    std::fs::write(&path, bytes).unwrap();
    base
}
