//! LoRaWAN 1.0.x at the edge: frames in, authenticated payloads and answers out.
//!
//! Pure: no clock, no I/O, no logging. [`EdgeServer::uplink`] takes a frame and the time and says
//! what it was and what is to be answered; the caller makes that durable before anything leaves,
//! or takes it back. How well devices are heard is told by their [`statistics`], and what the air
//! has room for by its [`capacity`].

mod ahead;
mod answer;
pub mod capacity;
mod counter;
mod event;
pub mod frame;
mod join;
mod link;
pub mod mac;
mod received;
mod server;
mod session;
pub mod statistics;
mod uplink;
mod waiting;

pub use ahead::Ahead;
pub use answer::{Answer, Window};
pub use counter::Counter;
pub use event::{Accepted, Event, News, Refusal, Uplink};
pub use link::{Channels, Link, Pin, Plan};
pub use received::Received;
pub use server::EdgeServer;
pub(crate) use session::binding;
pub use session::{Binding, Changes, Downlink, Join, Joins, Memory, Session, Slot, Undo};
pub use waiting::QueueError;
