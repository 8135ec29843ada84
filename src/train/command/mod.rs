//! The commands below the edge: arguments as typed are resolved here, once, and what comes out goes
//! to writers that the program brings.

mod compare;
mod evaluate;
mod pages;
mod predict;

pub use compare::compare;
pub use evaluate::evaluate;
pub use predict::predict;

use std::io::{Read, Write};
use std::path::Path;

use super::TrainError;
use super::args::EngineArgs;
use crate::backend::{self, Backend, EngineKind, Options};
use crate::bundle::Bundle;

/// What a command takes from outside.
pub struct Edge<'a> {
    /// The current folder.
    pub current: &'a Path,
    /// Standard input.
    pub input: &'a mut dyn Read,
    /// Standard output: what was asked for.
    pub out: &'a mut dyn Write,
    /// Standard error: progress and warnings.
    pub err: &'a mut dyn Write,
}

/// Rows between two lines of progress.
const ROWS_A_LINE: usize = 2000;

impl Edge<'_> {
    fn print(&mut self, text: &str) -> Result<(), TrainError> {
        let written = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
        written.map_err(super::files::failed(Path::new("standard output"), "write"))
    }

    /// Says something beside the answer; a closed standard error stops nothing.
    fn tell(&mut self, text: &str) {
        let _ = writeln!(self.err, "{text}");
    }
}

/// Says where a long command stands, once every [`ROWS_A_LINE`] rows.
struct Counter {
    told: usize,
}

impl Counter {
    const fn new() -> Self {
        Self { told: 0 }
    }

    fn reached(&mut self, done: usize, total: Option<usize>, err: &mut dyn Write) {
        if done >= self.told + ROWS_A_LINE && total != Some(done) {
            self.told = done;
            let of = total.map_or(String::new(), |total| format!(" of {total}"));
            let _ = writeln!(err, "{done}{of} rows");
        }
    }
}

fn engine(args: &EngineArgs, bundle: &Bundle, current: &Path) -> Result<Box<dyn Backend>, TrainError> {
    let library = match args.engine {
        EngineKind::Onnx => Some(backend::find_library(args.ort_library.as_deref(), &[current.to_owned()])?),
        EngineKind::Candle => None,
    };
    Ok(backend::open(args.engine, bundle, &Options { library, ..Options::default() })?)
}
