//! Radio HATs: what is on the air is heard, answers leave in time, and a radio that fails comes
//! back by itself or says why not. The unmodified driver runs on emulated chips, in virtual time.

#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, missing_docs)]

mod faults;
mod front;
mod hat;
mod hearing;
mod journal;
mod sending;
