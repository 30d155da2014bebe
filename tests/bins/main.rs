//! What is said of bins is true: of made ones, whose truth is known.

#![allow(clippy::unwrap_used, missing_docs)]

mod alarms;
mod compactors;
mod crews;
mod echoes;
mod emptyings;
mod falls;
mod forecasts;
mod frozen;
mod hostile;
mod lost;
mod rare;
mod replay;
mod world;
