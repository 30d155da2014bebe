//! The promise to whoever plans tours: a plan that is given out keeps every rule, costs what it
//! says, and a file is understood or refused with its line and field.
#![allow(clippy::unwrap_used, missing_docs)]

mod collection;
mod history;
mod hostile;
mod kpi;
mod published;
mod simulation;
mod solve;
mod solver;
mod wrong;

use lykta::route::file::{self, Document};
use std::path::{Path, PathBuf};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tours/data").join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(data(name)).unwrap()
}

fn document(name: &str) -> Document {
    file::read(&text(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}
