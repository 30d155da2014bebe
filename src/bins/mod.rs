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
mod calendar;
mod crew;
mod days;
mod due;
mod emptying;
mod forecast;
mod geometry;
mod heat;
mod hours;
pub mod inflow;
mod input;
mod level;
mod news;
mod outcome;
mod packed;
mod posture;
mod rules;
mod shelf;
mod silence;
mod stays;
mod tended;
mod view;

pub use bin::Bin;
pub use due::Due;
pub use forecast::{Forecast, Tenths};
pub use geometry::Geometry;
pub use inflow::Inflow;
pub use input::{Echo, Input};
pub use news::{News, Report};
pub use outcome::{Alarm, EchoFrom, Emptying, Outcome, Trust};
pub use posture::Posture;
pub use rules::Rules;
pub use tended::{Alerts, LOOK_AGAIN, Tended};
pub use view::View;
