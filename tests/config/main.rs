//! The promise: whatever is wrong with a configuration is told at once, with its line and
//! what to do; what holds is told with its source; secrets are never told.
#![allow(clippy::unwrap_used, missing_docs)]

mod anything;
mod check;
mod discretion;
mod import;
mod layers;
mod radio;
mod secrets;
mod site;
mod template;
mod tls;
mod tours;
mod wrong;
