//! What readings say about a bin.
//!
//! Pure: readings and times go in, what is known about the bin comes out.

pub mod inflow;
pub mod level;

pub use inflow::Inflow;
pub use level::{Geometry, Level, Step};
