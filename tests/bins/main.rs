//! What is said of bins is true: of made ones, whose truth is known.

#![allow(clippy::unwrap_used, missing_docs)]

mod alarms;
mod echoes;
mod emptyings;
mod forecasts;
mod hostile;
mod replay;
mod world;
