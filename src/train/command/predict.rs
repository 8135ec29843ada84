//! `limbic-train predict`.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::{Counter, Edge, engine};
use crate::backend::Backend;
use crate::bundle::Bundle;
use crate::train::TrainError;
use crate::train::args::{PredictArgs, PredictFormat};
use crate::train::data::{self, Example, TextFormat};
use crate::train::evaluate::logits;
use crate::train::files;
use crate::train::submission::{Layout, Submission};

/// Rows and bytes of text that are in memory at once.
const WINDOW_ROWS: usize = 512;
const WINDOW_BYTES: usize = 1 << 20;

/// Labels every text of a file, or of standard input, and writes the answers in the same order.
///
/// # Errors
/// [`TrainError`] at the first thing that goes wrong; then no file is written, and one that stood
/// there stays.
pub fn predict(args: &PredictArgs, edge: &mut Edge<'_>) -> Result<(), TrainError> {
    let (format, layout) = (text_format(args)?, layout(args)?);
    let bundle = Bundle::open(&args.bundle)?;
    let mut engine = engine(&args.engine, &bundle, edge.current)?;
    let piped = args.input == Path::new("-");
    let (name, bytes): (&Path, Box<dyn Read + '_>) = match piped {
        true => (Path::new("standard input"), Box::new(&mut *edge.input)),
        false => (&args.input, Box::new(File::open(&args.input).map_err(files::failed(&args.input, "read"))?)),
    };
    let mut texts = data::texts(name, bytes, &format, bundle.labels())?.peekable();
    let mut submission = Submission::begin(&args.output, layout, bundle.labels())?;
    let mut counter = Counter::new();
    while texts.peek().is_some() {
        let window = window(&mut texts)?;
        answer(&bundle, engine.as_mut(), &window, &mut submission)?;
        counter.reached(submission.rows(), None, edge.err);
    }
    let rows = submission.rows();
    if rows == 0 {
        return Err(data::DataError::Empty { path: name.to_owned() }.into());
    }
    let written = submission.finish(args.sample.as_deref())?;
    drop(texts);
    edge.tell(&format!("{rows} rows in {}", written.display()));
    Ok(())
}

/// The next texts, no more than fit.
fn window(texts: &mut impl Iterator<Item = Result<(usize, Example), data::DataError>>) -> Result<Vec<Example>, TrainError> {
    let (mut window, mut bytes) = (Vec::new(), 0);
    while window.len() < WINDOW_ROWS && bytes < WINDOW_BYTES {
        let Some(next) = texts.next().transpose()? else { break };
        bytes += next.1.text.len();
        window.push(next.1);
    }
    Ok(window)
}

fn answer(bundle: &Bundle, engine: &mut dyn Backend, window: &[Example], submission: &mut Submission<'_>) -> Result<(), TrainError> {
    let texts: Vec<&str> = window.iter().map(|example| example.text.as_str()).collect();
    let encodings = bundle.text_encoder().encode_all(&texts)?;
    let logits = logits(engine, &encodings, bundle.labels().len(), &mut |_, _| {})?;
    let predictions = bundle.decider().decide(&logits);
    window.iter().zip(&predictions).try_for_each(|(example, prediction)| submission.push(&example.id, prediction))
}

fn text_format(args: &PredictArgs) -> Result<TextFormat, TrainError> {
    let wrong =
        |expected: &str, found: &str| TrainError::Argument { name: "--format", expected: expected.to_owned(), found: found.to_owned() };
    match (args.format, &args.id_column, &args.text_column) {
        (PredictFormat::Csv, Some(id), Some(text)) => Ok(TextFormat::Columns { id: id.clone(), text: text.clone() }),
        (PredictFormat::Csv, ..) => Err(wrong("--id-column and --text-column with csv", "csv without them")),
        (PredictFormat::Labelled(format), None, None) => Ok(TextFormat::Labelled(format)),
        (PredictFormat::Labelled(_), ..) => Err(wrong("csv with --id-column and --text-column", "a format that names its own columns")),
    }
}

fn layout(args: &PredictArgs) -> Result<Layout, TrainError> {
    if args.sample.is_some() && args.jsonl {
        let (expected, found) = ("comma-separated output".to_owned(), "--jsonl".to_owned());
        return Err(TrainError::Argument { name: "--sample", expected, found });
    }
    Ok(match (args.jsonl, args.scores) {
        (false, false) => Layout::Labels,
        (false, true) => Layout::Scores,
        (true, false) => Layout::Lines,
        (true, true) => Layout::ScoredLines,
    })
}
