//! What a run begins with: a bundle as its base model.

use limbic::train::TrainError;

use super::train_trial::{Trial, never};

/// The smoke recipe, short, over the first 90 rows.
fn short(set: &[&str]) -> Trial {
    Trial::new(&[&["data.rows=90", "train.epochs=1"], set].concat())
}

#[test]
fn a_run_that_begins_with_a_bundle_keeps_its_encoder_and_names_it() {
    let first = short(&[]);
    let (_, base) = first.finish();

    let path = format!("model.base=\"{}\"", first.bundle().display());
    // Steps too small to be seen: what ships is the base's encoder with a fresh head.
    let second = short(&[&path, "data.rows=120", "optimizer.lr=1e-12", "data.labels=[\"joy\",\"sadness\",\"anger\",\"fear\"]"]);
    let (_, bundle) = second.finish();
    let from = &bundle.card().provenance;
    assert_eq!((from.base.name.as_str(), from.base.revision.as_str()), ("smoke 1.0.0", base.id()));
    let [learnt] = &from.further[..] else { panic!("{:?}", from.further) };
    assert_eq!((learnt.purpose.as_str(), learnt.rows, &learnt.sha256), ("base", 90, &base.card().provenance.data.sha256));

    let (before, after) = (base.weights_fp32(), bundle.weights_fp32());
    let mut compared = 0;
    for (name, span) in base.layout().iter().filter(|(name, _)| !name.starts_with("classifier")) {
        let other = bundle.layout().get(name).unwrap_or_else(|| panic!("no {name}"));
        let values = |file: &[u8], at: usize| f32::from_le_bytes(file[at..at + 4].try_into().unwrap());
        for at in (0..span.bytes).step_by(4) {
            let (x, y) = (values(&before, span.offset + at), values(&after, other.offset + at));
            assert!((x - y).abs() <= 1e-6 * (1.0 + x.abs()), "{name} at byte {at}: {x} became {y}");
        }
        compared += 1;
    }
    assert!(compared > 20, "{compared} tensors");
}

#[test]
fn a_bundle_that_was_fitted_on_the_rows_of_a_run_is_no_base_for_it() {
    let first = short(&["final.include_dev=true"]);
    let (_, base) = first.finish();
    let path = format!("model.base=\"{}\"", first.bundle().display());
    let (outcome, _) = short(&[&path]).run(&never);
    let error = outcome.unwrap_err();
    assert!(matches!(error, TrainError::KnownRows { file: "data.train and data.dev", .. }), "{error}");
    assert!(error.to_string().contains(base.id()), "{error}");
}
