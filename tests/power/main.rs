//! The power fails: what was accepted is there when it comes back.
//!
//! This binary has system calls of its own ([`calls`]), which SQLite and the standard library
//! find before those of the C library. Whatever is done to a directory under test is written down
//! ([`tape`]), together with what lykta had promised by then ([`promise`]). Afterwards the disk is
//! rebuilt as a power cut at any instant could have left it ([`platter`]), opened by lykta, and
//! held against what was promised ([`images`]). It takes neither root nor a special disk.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

#[path = "../support/mod.rs"]
mod support;

mod air;
mod calls;
mod images;
mod load;
mod platter;
mod promise;
mod renewal;
mod tape;
