//! Frames in and out of the air: by concentrators that speak the Semtech UDP protocol, and by
//! radio HATs of this machine.
//!
//! Both are *gateways* with an EUI and a wrapping microsecond counter (`tmst`), by which a frame is
//! received and an answer is timed, so that nothing beyond this room needs to know which is which.

pub mod concentrator;
pub mod dedup;
pub mod gwmp;
pub mod hat;
pub mod schedule;
pub mod vigil;

use crate::clock::Moment;
use crate::message;
use crate::units::{Db, Dbm, GatewayEui, Hertz, LoRa};
use jiff::Timestamp;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// A frame as it was heard: once on the air, by one or several receivers.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    /// The PHYPayload, CRC checked by the receiver.
    pub phy: Vec<u8>,
    /// When its reception ended, as well as this gateway knows.
    pub at: Moment,
    /// The channel's centre.
    pub frequency: Hertz,
    /// How it was modulated.
    pub modulation: LoRa,
    /// The coding rate in Semtech's form, `4/5`.
    pub code_rate: String,
    /// Who received it, best first. Never empty.
    pub receptions: Vec<Reception>,
}

/// One receiver's view of a frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Reception {
    /// The concentrator.
    pub gateway: GatewayEui,
    /// The concentrator's own wall clock, if it has one.
    pub gateway_time: Option<Timestamp>,
    /// The concentrator's microsecond counter, which wraps every 71.6 minutes: the time base
    /// for an answer.
    pub tmst: u32,
    /// Received power.
    pub rssi: Dbm,
    /// Signal-to-noise ratio.
    pub snr: Db,
    /// Which of the concentrator's channels.
    pub channel: u32,
    /// Which of its radios.
    pub rf_chain: u32,
}

/// A frame to be sent: a downlink, with inverted IQ, without a checksum.
#[derive(Debug, Clone, PartialEq)]
pub struct Transmission {
    /// Names it in its [`Report`].
    pub id: u64,
    /// Which gateway shall send it.
    pub gateway: GatewayEui,
    /// When its first symbol shall leave, by the counter of that gateway.
    pub tmst: u32,
    /// The channel's centre.
    pub frequency: Hertz,
    /// How it is modulated; the coding rate is 4/5.
    pub modulation: LoRa,
    /// Radiated power (ERP).
    pub power: Dbm,
    /// The PHYPayload.
    pub phy: Vec<u8>,
}

/// What became of a [`Transmission`]. Every one is reported, and once, but for those that a stop
/// of the gateway cuts off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Which transmission.
    pub id: u64,
    /// The gateway that was to send it.
    pub gateway: GatewayEui,
    /// Whether it was sent (a HAT), or taken to be sent (a concentrator).
    pub result: Result<(), TxError>,
}

/// Why a frame was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum TxError {
    /// No way to that gateway: it is unknown, down, or has not asked for downlinks.
    #[error("no way to the gateway")]
    NoWay,
    /// Its time is over, or too near.
    #[error("too late")]
    TooLate,
    /// Its time is too far away.
    #[error("too early")]
    TooEarly,
    /// Something else is sent at that time.
    #[error("collides with another transmission")]
    Collision,
    /// The gateway cannot send on that frequency, or with that power.
    #[error("the gateway cannot send there")]
    Impossible,
    /// The radio failed before it began to send.
    #[error("the radio failed")]
    Radio,
    /// It was begun, and nobody knows how far it came.
    #[error("it is not known whether it was sent")]
    Unsure,
    /// The gateway refused for a reason of its own.
    #[error("refused by the gateway")]
    Refused,
}

/// What the front ends of the air tell.
#[derive(Debug, Clone, PartialEq)]
pub enum AirEvent {
    /// A frame was received.
    Heard(Heard),
    /// What became of a transmission.
    Sent(Report),
}

/// Where the front ends tell what happened: the way to the rest of the gateway, which is bounded.
/// Clones are the same way. A frame for which there is no room is counted, and told: once, until
/// a minute has passed without.
#[derive(Clone)]
pub struct Outlet(Arc<Way<Pass>>);

type Pass = dyn Fn(AirEvent) -> Result<(), OutletError> + Send + Sync;

struct Way<F: ?Sized> {
    dropped: AtomicU64,
    last_drop: Mutex<Option<Instant>>,
    pass: F,
}

/// How long no frame must be dropped for it to be told again.
const DROPS_END: Duration = Duration::from_secs(60);

/// Why an event could not be handed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutletError {
    /// The rest of the gateway is too slow.
    Full,
    /// The gateway stops: nobody waits for this event any more.
    Closed,
}

impl Outlet {
    /// An outlet that hands events to this function, which must not block.
    pub fn new(pass: impl Fn(AirEvent) -> Result<(), OutletError> + Send + Sync + 'static) -> Self {
        Self(Arc::new(Way { dropped: AtomicU64::new(0), last_drop: Mutex::new(None), pass }))
    }

    /// Hands an event on.
    ///
    /// # Errors
    /// When there is no room for it, or nobody to take it.
    pub fn pass(&self, event: AirEvent) -> Result<(), OutletError> {
        let frame = matches!(event, AirEvent::Heard(_));
        let passed = (self.0.pass)(event);
        if frame && passed == Err(OutletError::Full) {
            self.drop_one();
        }
        passed
    }

    fn drop_one(&self) {
        self.0.dropped.fetch_add(1, Relaxed);
        let now = Instant::now();
        let mut last = self.0.last_drop.lock().unwrap_or_else(PoisonError::into_inner);
        if last.replace(now).is_none_or(|last| now.duration_since(last) >= DROPS_END) {
            log::error!(
                MESSAGE_ID = message::FRAMES_DROPPED;
                "frames come faster than they can be written, and some are dropped"
            );
        }
    }

    /// How many frames there was no room for.
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Relaxed)
    }
}

impl fmt::Debug for Outlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outlet")
    }
}
