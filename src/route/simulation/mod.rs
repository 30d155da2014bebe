//! Weeks of a town's bins under several policies: how far is driven for the same service?
//!
//! ```text
//!  seed ─► town ─► matrix
//!    └───► weeks ─► days ─ reading ─► knowledge ─ policy ─► problem ─► plan ─┐
//!                    ▲                                                       │
//!                    └──────────────────── emptied ◄────────────────────────┘
//! ```
//!
//! All policies meet the same weeks, hour by hour, and know the same: readings with noise and
//! gaps, and what their own crews have emptied. Each has one knob. It is turned on other weeks of
//! the same town until the bins are overfull for the same time, and only then are the kilometres
//! compared ([`tuning`]); else the one that drives less may just let more bins overflow. That the
//! hours are the same in the weeks that count too is luck; so the knob is also turned there, which
//! no planner could do, but compares the ways to choose and not their luck.
//!
//! Weeks come by chance or from a record ([`Recorded`]).

mod chance;
mod days;
mod knowledge;
mod policy;
mod record;
mod score;
mod town;
pub mod tuning;
mod weeks;

pub use days::{Broken, Tours, replay};
pub use policy::Policy;
pub use record::Recorded;
pub use score::Score;
pub use town::{Container, Town};
pub use weeks::Weeks;
