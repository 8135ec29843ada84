//! `bundle.json`, `golden.json` as they stand on disk: twins of the inner types, and nothing more.
//!
//! Every struct refuses members it does not know. What is read here is of the right type and not
//! yet trusted: [`super::open`] checks it. The id is the hash of the manifest with an empty id, as
//! this module writes it; the manifest holds every other file's hash, so the id covers them all.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::card::{BaseModel, DataFingerprint, Figure, Figures, FurtherData, MeasuredSet, Provenance};
use super::files::sha256;
use super::generation::GenerationTwin;
use super::scores::ScoresTwin;
use super::{BundleError, GoldenSet};
use crate::decide::{Calibrator, DecideError, Logits, Probabilities};
use crate::spec::{Activation, Architecture, Pooling, Precision, Task};
use crate::text::Normalization;

pub(super) const SCHEMA_VERSION: u32 = 1;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    pub(super) schema_version: u32,
    pub(super) id: String,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) created: u64,
    pub(super) task: Task,
    pub(super) activation: Activation,
    pub(super) labels: Vec<String>,
    pub(super) architecture: Architecture,
    pub(super) pooling: Pooling,
    pub(super) max_length: usize,
    pub(super) normalization: Normalization,
    pub(super) precision: PrecisionTwin,
    pub(super) onnx: Option<OnnxTwin>,
    pub(super) provenance: ProvenanceTwin,
    pub(super) metrics: Vec<MeasuredTwin>,
    /// Came later: a bundle without it has the id it always had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) scores: Option<ScoresTwin>,
    /// Came with the first generators, for the same reason absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) generation: Option<GenerationTwin>,
    pub(super) files: BTreeMap<String, FileTwin>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PrecisionTwin {
    pub(super) storage: Precision,
    pub(super) tolerance: f64,
    pub(super) calibrators: Vec<CalibratorTwin>,
    pub(super) thresholds: ThresholdsTwin,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ThresholdsTwin {
    pub(super) policy: String,
    pub(super) values: Vec<f64>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum CalibratorTwin {
    Identity,
    Temperature { t: f64 },
    Sigmoid { a: f64, b: f64 },
    Beta { a: f64, b: f64, c: f64 },
    Isotonic { x: Vec<f64>, y: Vec<f64> },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OnnxTwin {
    pub(super) file: String,
    pub(super) opset: u32,
    pub(super) inputs: Vec<String>,
    pub(super) outputs: Vec<String>,
    pub(super) weights: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileTwin {
    pub(super) sha256: String,
    pub(super) bytes: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProvenanceTwin {
    base: BaseTwin,
    recipe_sha256: String,
    recipe: String,
    data: DataTwin,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    further: Vec<FurtherTwin>,
    git: Option<String>,
    seeds: Vec<u64>,
    limbic: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BaseTwin {
    name: String,
    revision: String,
    licence: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DataTwin {
    description: String,
    rows: usize,
    sha256: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FurtherTwin {
    purpose: String,
    description: String,
    licence: String,
    rows: usize,
    sha256: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MeasuredTwin {
    name: String,
    rows: usize,
    note: String,
    tuned: FiguresTwin,
    at_half: FiguresTwin,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FiguresTwin {
    overall: BTreeMap<String, FigureTwin>,
    labels: BTreeMap<String, BTreeMap<String, FigureTwin>>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FigureTwin {
    value: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    interval: Option<(f64, f64)>,
}

/// `golden.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GoldenTwin {
    schema_version: u32,
    texts: Vec<GoldenTextTwin>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct GoldenTextTwin {
    text: String,
    ids: Vec<u32>,
    logits: Vec<f32>,
    probabilities: Vec<f32>,
}

impl Manifest {
    /// Reads `json`, looking at the version before anything else.
    pub(super) fn parse(json: &[u8], path: &Path) -> Result<Self, BundleError> {
        #[derive(Deserialize)]
        struct Versioned {
            schema_version: u32,
        }
        let versioned: Versioned = serde_json::from_slice(json).map_err(BundleError::json(path))?;
        check_version(versioned.schema_version, path)?;
        serde_json::from_slice(json).map_err(BundleError::json(path))
    }

    /// The id that the rest of the manifest calls for.
    pub(super) fn content_id(&self) -> String {
        let blank = Self { id: String::new(), ..self.clone() };
        let json = serde_json::to_vec(&blank).expect("a manifest has no map keys but strings; this is a bug");
        format!("sha256:{}", sha256(&json))
    }
}

fn check_version(found: u32, path: &Path) -> Result<(), BundleError> {
    if found == SCHEMA_VERSION {
        return Ok(());
    }
    Err(BundleError::value(path, "schema_version", SCHEMA_VERSION.to_string(), found))
}

impl GoldenTwin {
    pub(super) fn parse(json: &[u8], path: &Path) -> Result<Self, BundleError> {
        let twin: Self = serde_json::from_slice(json).map_err(BundleError::json(path))?;
        check_version(twin.schema_version, path)?;
        Ok(twin)
    }

    pub(super) fn of(golden: &GoldenSet) -> Self {
        let rows = golden.texts.iter().zip(&golden.ids).enumerate();
        let texts = rows.map(|(row, (text, ids))| GoldenTextTwin {
            text: text.clone(),
            ids: ids.clone(),
            logits: golden.logits.row(row).to_vec(),
            probabilities: golden.probabilities.row(row).to_vec(),
        });
        Self { schema_version: SCHEMA_VERSION, texts: texts.collect() }
    }

    /// The set, whose every row has `labels` columns.
    pub(super) fn resolve(self, labels: usize, path: &Path) -> Result<GoldenSet, BundleError> {
        let count = self.texts.len();
        if count == 0 || count > super::MAX_GOLDEN_TEXTS {
            return Err(BundleError::value(path, "texts", format!("between 1 and {} entries", super::MAX_GOLDEN_TEXTS), count));
        }
        let mut set = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (index, row) in self.texts.into_iter().enumerate() {
            for (what, found) in [("logits", row.logits.len()), ("probabilities", row.probabilities.len())] {
                if found != labels {
                    return Err(BundleError::value(path, format!("texts[{index}].{what}"), format!("{labels} numbers"), found));
                }
            }
            set.0.push(row.text);
            set.1.push(row.ids);
            set.2.extend(row.logits);
            set.3.extend(row.probabilities);
        }
        let refused = |what| move |error: DecideError| BundleError::value(path, what, "finite numbers in their range", error);
        let logits = Logits::new(labels, set.2).map_err(refused("logits"))?;
        let probabilities = Probabilities::new(labels, set.3).map_err(refused("probabilities"))?;
        Ok(GoldenSet { texts: set.0, ids: set.1, logits, probabilities })
    }
}

impl CalibratorTwin {
    pub(super) fn of(calibrator: &Calibrator) -> Self {
        match calibrator.clone() {
            Calibrator::Identity => Self::Identity,
            Calibrator::Temperature { t } => Self::Temperature { t },
            Calibrator::Sigmoid { a, b } => Self::Sigmoid { a, b },
            Calibrator::Beta { a, b, c } => Self::Beta { a, b, c },
            Calibrator::Isotonic { x, y } => Self::Isotonic { x, y },
        }
    }

    pub(super) fn resolve(self) -> Result<Calibrator, DecideError> {
        match self {
            Self::Identity => Ok(Calibrator::Identity),
            Self::Temperature { t } => Calibrator::temperature(t),
            Self::Sigmoid { a, b } => Calibrator::sigmoid(a, b),
            Self::Beta { a, b, c } => Calibrator::beta(a, b, c),
            Self::Isotonic { x, y } => Calibrator::isotonic(x, y),
        }
    }
}

impl From<&Provenance> for ProvenanceTwin {
    fn from(from: &Provenance) -> Self {
        let Provenance { base, recipe_sha256, recipe, data, further, git, seeds, limbic } = from.clone();
        Self {
            base: BaseTwin { name: base.name, revision: base.revision, licence: base.licence },
            recipe_sha256,
            recipe,
            data: DataTwin { description: data.description, rows: data.rows, sha256: data.sha256 },
            further: further.into_iter().map(Into::into).collect(),
            git,
            seeds,
            limbic,
        }
    }
}

impl From<ProvenanceTwin> for Provenance {
    fn from(twin: ProvenanceTwin) -> Self {
        let ProvenanceTwin { base, recipe_sha256, recipe, data, further, git, seeds, limbic } = twin;
        Self {
            base: BaseModel { name: base.name, revision: base.revision, licence: base.licence },
            recipe_sha256,
            recipe,
            data: DataFingerprint { description: data.description, rows: data.rows, sha256: data.sha256 },
            further: further.into_iter().map(Into::into).collect(),
            git,
            seeds,
            limbic,
        }
    }
}

impl From<FurtherData> for FurtherTwin {
    fn from(FurtherData { purpose, description, licence, rows, sha256 }: FurtherData) -> Self {
        Self { purpose, description, licence, rows, sha256 }
    }
}

impl From<FurtherTwin> for FurtherData {
    fn from(FurtherTwin { purpose, description, licence, rows, sha256 }: FurtherTwin) -> Self {
        Self { purpose, description, licence, rows, sha256 }
    }
}

impl From<&MeasuredSet> for MeasuredTwin {
    fn from(set: &MeasuredSet) -> Self {
        let MeasuredSet { name, rows, note, tuned, at_half } = set.clone();
        Self { name, rows, note, tuned: tuned.into(), at_half: at_half.into() }
    }
}

impl From<MeasuredTwin> for MeasuredSet {
    fn from(twin: MeasuredTwin) -> Self {
        let MeasuredTwin { name, rows, note, tuned, at_half } = twin;
        Self { name, rows, note, tuned: tuned.into(), at_half: at_half.into() }
    }
}

impl From<Figures> for FiguresTwin {
    fn from(Figures { overall, labels }: Figures) -> Self {
        Self { overall: each(overall), labels: labels.into_iter().map(|(label, figures)| (label, each(figures))).collect() }
    }
}

impl From<FiguresTwin> for Figures {
    fn from(FiguresTwin { overall, labels }: FiguresTwin) -> Self {
        Self { overall: each(overall), labels: labels.into_iter().map(|(label, figures)| (label, each(figures))).collect() }
    }
}

impl From<Figure> for FigureTwin {
    fn from(Figure { value, interval }: Figure) -> Self {
        Self { value, interval }
    }
}

impl From<FigureTwin> for Figure {
    fn from(FigureTwin { value, interval }: FigureTwin) -> Self {
        Self { value, interval }
    }
}

fn each<A, B: From<A>>(figures: BTreeMap<String, A>) -> BTreeMap<String, B> {
    figures.into_iter().map(|(name, figure)| (name, figure.into())).collect()
}
