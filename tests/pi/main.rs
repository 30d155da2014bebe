//! The promise that lykta reaches the pins and the SPI of a Raspberry Pi: `tests/run pi`. These
//! tests run on a machine that qemu emulates, a Raspberry Pi 3 with Debian's kernel, compiled for
//! it. On its SPI is a flash memory in place of a radio, which says what it is when it is asked.
//!
//! That machine has no edges, no pull-ups, and nothing that drives a line from outside; the memory
//! is asked whichever select is low.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../support/mod.rs"]
mod support;

mod board;
mod program;
