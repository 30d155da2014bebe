//! The promise of the roads: a stop is visited from a road that the vehicle may use, by the way
//! that it may go, as long as it is; a stop to which there is none is named.
#![allow(clippy::unwrap_used, missing_docs)]

mod command;
mod hostile;
mod pbf;
mod properties;
mod rules;
mod stops;
mod town;
