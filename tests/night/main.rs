//! The promise to whoever sleeps, and to whoever watches over them: each agreed check has one
//! answer with its reason, a fault is never fine, and nobody is woken for nothing.
#![allow(clippy::unwrap_used, missing_docs)]

mod clock;
mod nights;
mod properties;
mod replay;
mod rules;
mod world;
