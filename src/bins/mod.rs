//! What readings say about a bin.
//!
//! ```text
//!  uplink ─ input ─► bin ─┬ geometry ─► hours ─► days ─► forecast
//!                         ├ readings ─► emptying       (fixed echoes: shelf)
//!                         └ heat, posture, battery, silence, due
//! ```
//!
//! Pure: readings and times go in, what is known about the bin comes out. What is known of a bin
//! is less than 2 KiB, however long it is watched, and serialises, so that it can be stored in
//! the transaction of the uplink that changed it.

mod battery;
mod bin;
mod days;
mod due;
mod emptying;
mod forecast;
mod geometry;
mod heat;
mod hours;
pub mod inflow;
mod input;
pub mod level;
mod packed;
mod posture;
mod shelf;
mod silence;

pub use bin::{Alarm, Bin, EchoFrom, Emptying, Outcome, Rules, Trust};
pub use due::Due;
pub use forecast::{Forecast, Tenths};
pub use geometry::Geometry;
pub use inflow::Inflow;
pub use input::{Echo, Input};
pub use level::{Level, Step};
pub use posture::Posture;
