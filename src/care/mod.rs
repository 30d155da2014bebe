//! Undisturbed nights: what sensors in a home say about whoever lives there, decided here and
//! told as decisions. The stream of what they sensed goes nowhere.
//!
//! ```text
//!  frame, time ──► Watch ──► checks, alarms, faults ──► Escalation ──► who is told
//!                   │  ▲
//!                 Memory
//! ```
//!
//! Pure: frames and moments go in, decisions and the next moment to look come out. A [`Watch`]
//! remembers so much and no more ([`Memory`], to be kept with the frame that it comes from), and
//! decides the same whether it was restored or not, asked more often or not.
//!
//! * A **check** is `confirmed` with its evidence, `not_confirmed`, or a `fault`, once for each
//!   agreed time. What nobody can know is a fault, and a fault is never fine.
//! * A **rule** raises an alarm and says when it is over. No rule is shorter than its sensors can
//!   support ([`Resident::support`]).
//! * A **sensor** with a heartbeat is supervised: more missing heartbeats than its link explains
//!   are a fault.
//! * Without **consent** frames are counted, and nothing else.
//!
//! This is no social alarm: it helps to decide whom to visit, beside the button that a resident
//! wears, and never instead of it.

mod check;
mod decision;
mod delay;
pub mod escalation;
mod house;
pub mod ledger;
mod reason;
mod resident;
mod rule;
mod sensor;
mod time;
mod watch;

pub use check::Outcome;
pub use decision::{Decision, Kind, OWN_RULES};
pub use delay::TooShort;
pub use house::{Deafness, Mode, Stay};
pub use reason::{Language, Reason};
pub use resident::{Check, LATEST_ANSWER, Resident, Rule, RuleKind, Sensor, SensorKind};
pub use sensor::{CHATTER, Heard, SensorMemory};
pub use time::{At, Span, Window};
pub use watch::{Memory, Watch};
