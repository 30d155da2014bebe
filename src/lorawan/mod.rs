//! LoRaWAN 1.0.x at the edge: frames in, authenticated payloads out.
//!
//! Pure: no clock, no I/O, no logging. [`EdgeServer::uplink`] takes a frame and the time and
//! says what it was; the caller makes that durable, or takes it back.

pub mod frame;
mod server;
mod session;

pub use server::{Accepted, EdgeServer, Refusal, Uplink};
pub use session::Session;
