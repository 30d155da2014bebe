//! lykta: an edge gateway for LoRaWAN sensors in waste bins and in homes.
//!
//! # One way through
//!
//! ```text
//!  air ──► radio ──► lorawan ──► codec ──► store ──► upstream ──► cloud (MQTT)
//!            ▲          │                    ▲           │
//!            └ downlink ┘                    └── PUBACK ─┘
//! ```
//!
//! An uplink enters on the left and leaves on the right; nothing on the right is imported by
//! anything on its left. Three things come back: an answer to a device, an acknowledgement of the
//! broker, and a command of the cloud.
//!
//! | room | what happens there | pure |
//! | --- | --- | --- |
//! | [`units`], [`device`], [`message`], [`fault`] | typed quantities and ids, the device registry, the ids of journal messages, what can be wrong | yes |
//! | [`clock`] | time with its quality; the one reader of the system's clocks | no |
//! | [`pulse`] | what a loop shows of its progress, so that one that hangs is found | no |
//! | [`eu868`] | the law and the plan of the band: channels, data rates, sub-bands, time on air, duty cycle | yes |
//! | [`radio`] | frames in and out: concentrators over the Semtech UDP protocol, radio HATs by lora-phy, copies joined | parsing, joining, planning, yes |
//! | [`board`] | the pins and SPI of this machine; the one file that names rppal | no |
//! | [`lorawan`] | frames ↔ authenticated payloads: joins, sessions, MAC commands, downlinks; losses, capacity | yes |
//! | [`codec`] | payload bytes → an object → typed readings, by the device's profile | yes |
//! | [`codec::script`] | codecs as vendors publish them, in a process that has no rights | no |
//! | [`bins`] | readings → how full a bin is, and how fast it fills | yes |
//! | [`care`] | what sensors in a home say → night checks, alarms, faults; whom to tell; consent | yes |
//! | [`route`] | roads, distances, which stops are visited in which order | yes |
//! | [`planning`] | the thread that makes plans: each night, on demand, when a bin has become full | no |
//! | [`store`] | one SQLite file a tenant: sessions, what rooms remember, and the outbox | no |
//! | [`upstream`] | one MQTT connection a tenant: message formats, delivery | no |
//! | [`ingest`] | the thread on which an uplink goes from the radio to the disk | no |
//! | [`gateway`] | builds all parts from the settings, stops them in order | no |
//! | [`config`] | settings: read, checked, explained with their sources | no |
//! | [`ops`] | journal, service manager, health, the socket at which the daemon is asked | no |
//! | [`cli`] | the commands, one file each | no |
//! | `schemas` | what is promised of messages, for programs; there in tests only, and in `config/schemas/` | yes |
//! | `program` | other programs that are asked, none for too long | no |
//! | `sys` | the one room where `unsafe` is allowed: a few calls into libc | no |
//! | `demo` | the same gateway between simulated sensors and an embedded broker | no |
//! | `emulation` | radio chips and an air that are not there, for `demo` and for the tests | no |
//!
//! *Pure* means: no tokio, no clock, no I/O, no logging, no global. A pure room is a struct
//! with methods that take an input and the time, and return what should happen.
//!
//! # Rules that hold everywhere
//!
//! 1. **Durable before visible.** One SQLite transaction holds an uplink's frame counters and
//!    its messages; nothing is published or answered before it is on disk. If it cannot be, the counter is
//!    taken back, and a repetition of the frame is welcome.
//! 2. **Gone only when acknowledged.** A row of the outbox is deleted when *its* PUBACK has
//!    come, and with MQTT 5 only if that is not a refusal.
//! 3. **Every queue is bounded, every loss is counted** and visible in health.
//! 4. **A dead part stops no other.** A taken port is tried again, a dead broker leaves
//!    everything in the outbox, one tenant's trouble is not another's.
//! 5. **A tenant's data stays with the tenant**: its own file, its own connection, its own
//!    topics. Of a care tenant's devices nothing leaves the gateway.
//! 6. **The clock may be wrong**: durations are monotonic, a wall time carries its quality.
//! 7. **Untrusted input never panics**: datagrams, frames, payloads, settings.
//! 8. **Keys, payloads and residents never reach a log.**

pub mod bins;
pub mod board;
pub mod care;
pub mod cli;
pub mod clock;
pub mod codec;
pub mod config;
#[cfg(feature = "demo")]
pub mod demo;
pub mod device;
#[cfg(feature = "demo")]
pub mod emulation;
pub mod eu868;
pub mod fault;
pub mod gateway;
pub mod ingest;
pub mod lorawan;
pub mod message;
pub mod ops;
pub mod planning;
mod program;
pub mod pulse;
pub mod radio;
pub mod route;
#[cfg(test)]
mod schemas;
pub mod store;
mod sys;
pub mod units;
pub mod upstream;
