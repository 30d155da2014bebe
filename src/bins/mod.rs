//! What readings say about a bin.
//!
//! Pure: readings and times go in, what is known about the bin comes out.

pub mod level;

pub use level::{Geometry, Level, Step};
