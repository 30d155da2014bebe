//! Roads, distances, and which stops are visited in which order.
//!
//! ```text
//!  road ──► matrix ──► problem ──► solver ──► plan ──► check ──► publication
//! ```
//!
//! [`Problem`] says what is to be done, [`Plan`] says in which order it is done, and [`mod@check`]
//! stands between any plan and the world: it knows nothing of how a plan was made, and counts
//! everything again.

pub mod calendar;
pub mod check;
pub mod collection;
pub mod difference;
pub mod file;
pub mod geojson;
pub mod given;
pub mod gpx;
pub mod kpi;
pub mod matrix;
pub mod picture;
pub mod plan;
pub mod problem;
pub mod road;
pub mod sheet;
pub mod simulation;
pub mod solver;

pub use check::{Reckoning, check};
pub use matrix::Matrix;
pub use plan::{Plan, Route, Visit};
pub use problem::Problem;
