//! LoRaWAN 1.0.x at the edge: frames in, authenticated payloads out.
//!
//! Pure: no clock, no I/O, no logging. [`EdgeServer::uplink`] takes a frame and the time and
//! says what it was; the caller makes that durable, or takes it back. How well devices are
//! heard is told by their [`statistics`], and what the air has room for by its [`capacity`].

pub mod capacity;
pub mod frame;
mod server;
mod session;
pub mod statistics;

pub use server::{Accepted, EdgeServer, Refusal, Uplink};
pub use session::Session;
