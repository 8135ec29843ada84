//! The sets of figures that a run reports: which rows, judged by what, and how that is said.
//!
//! A figure without these words would be taken for more than it is: one fold for a
//! cross-validation, a model measured on the way for the one that ships.

use super::TrainError;
use super::held_out::HeldOut;
use super::measure::{self, Subject};
use super::oof::{Calibration, JudgedRows};
use super::recipe::{FinalFit, Recipe, Restore, Split};
use crate::bundle::MeasuredSet;
use crate::decide::{Decider, Probabilities};
use crate::metrics::Resampling;
use crate::spec::Task;

const OUT_OF_FOLD: &str = "Every row judged by the model that did not see it, and by calibrators and thresholds fitted on the other \
                           folds. The models saw fewer rows than the one that ships.";
const HELD_OUT: &str = "Rows of the held-out file, judged by the model that ships. Nothing was fitted or chosen on them.";
const HELD_OUT_BEFORE: &str = "Rows of the held-out file, judged by a model fitted on the training file alone, with calibrators and \
                               thresholds fitted on that file alone: nothing was fitted or chosen on these rows. This is not the model \
                               that ships: that one was fitted once more, on both files, and saw these rows.";
const CHOSEN: &str = "The weights are those of the best evaluation on these same rows, which flatters them.";
const UNCALIBRATED: &str = "The same rows and model, the plain sigmoid of the logits: no calibrator, no threshold.";

/// Figures on the rows held out by the folds, cross-fitted. The name says when it was one fold.
pub(super) fn out_of_fold(
    recipe: &Recipe,
    judged: &JudgedRows,
    calibration: &Calibration,
    resampling: Resampling,
) -> Result<MeasuredSet, TrainError> {
    let split = recipe.folds.split;
    let note = if split.is_one() {
        let ships = match recipe.final_fit {
            FinalFit::Fold => "that model ships",
            FinalFit::Refit | FinalFit::RefitWithDev => "it saw fewer rows than the one that ships",
        };
        format!(
            "{split}, not a cross-validation. Rows judged by the one model that did not see them ({ships}), and by calibrators and \
             thresholds fitted on other parts of the same rows."
        )
    } else {
        OUT_OF_FOLD.to_owned()
    };
    let note = match recipe.train.restore {
        Restore::Best => format!("{note} {CHOSEN}"),
        Restore::Last => note,
    };
    cross_fitted(recipe, (&name(&split), &note), judged, calibration, resampling)
}

/// Figures on the rows of both files, cross-fitted: about the calibrators and thresholds that ship.
pub(super) fn with_dev(
    recipe: &Recipe,
    judged: &JudgedRows,
    calibration: &Calibration,
    held_out: &HeldOut<'_>,
    resampling: Resampling,
) -> Result<MeasuredSet, TrainError> {
    let split = recipe.folds.split;
    let note = format!(
        "Rows of both files, each judged by a model that did not see it: the training file's by its fold's ({split}), the held-out file's \
         by the model fitted on the training file alone. Calibrators and thresholds were fitted on the other parts, the held-out file \
         being one more, as those that ship were on all of them. The model that ships saw every row.{}",
        match held_out.twins() {
            0 => String::new(),
            twins => format!(" {twins} held-out texts with a near duplicate in the training file are left out."),
        }
    );
    cross_fitted(recipe, (&format!("{}_with_dev", name(&split)), &note), judged, calibration, resampling)
}

/// Figures on the held-out file: calibrated, and as plain sigmoids.
pub(super) fn held_out(
    recipe: &Recipe,
    decider: &Decider,
    held_out: &HeldOut<'_>,
    resampling: Resampling,
) -> Result<[MeasuredSet; 2], TrainError> {
    let (labels, targets) = (&recipe.data.labels, held_out.targets());
    let calibrated = decider.probabilities(&held_out.logits);
    let plain = Probabilities::of(&held_out.logits, Task::MultiLabel.activation());
    let note = match recipe.final_fit {
        FinalFit::RefitWithDev => HELD_OUT_BEFORE,
        FinalFit::Refit | FinalFit::Fold => HELD_OUT,
    };
    let note = match held_out.twins() {
        0 => note.to_owned(),
        twins => format!("{note} {twins} of them have a near duplicate in the training file."),
    };
    let subject = Subject { name: "held_out", note: &note, labels, probabilities: &calibrated, targets };
    let uncalibrated = Subject { name: "held_out_uncalibrated", note: UNCALIBRATED, labels, probabilities: &plain, targets };
    Ok([measure::thresholded(&subject, decider.thresholds(), resampling)?, measure::at_half(&uncalibrated, resampling)?])
}

fn cross_fitted(
    recipe: &Recipe,
    (name, note): (&str, &str),
    judged: &JudgedRows,
    calibration: &Calibration,
    resampling: Resampling,
) -> Result<MeasuredSet, TrainError> {
    let probabilities = &calibration.honest.probabilities;
    let subject = Subject { name, note, labels: &recipe.data.labels, probabilities, targets: judged.targets() };
    measure::decided(&subject, &calibration.honest.decisions, resampling)
}

fn name(split: &Split) -> String {
    match split {
        Split::Stratified { only: None, .. } => "out_of_fold".to_owned(),
        Split::Stratified { k, only: Some(_) } => format!("one_fold_of_{k}"),
        Split::HoldOut { fraction, .. } => format!("one_holdout_of_{:.0}_percent", fraction * 100.0),
    }
}
