//! Between lora-phy and the chip: hears every SPI transaction, notes what the driver throws
//! away, and mends what it gets wrong.
//!
//! lora-phy 3.0.1 is used as published. What this cures:
//!
//! * A packet with a bad CRC is returned like a good one (both chips): the flag is noted.
//! * Every interrupt goes to DIO1 (SX1262), which gives three edges a packet, so that a slow
//!   host misses the time of the one that counts: only the end of something is let through.
//! * The low-data-rate bit is missing at SF11 (SX1276), so that nobody understands each other.
//! * Flags are not cleared before a change of mode (SX1276: it writes 0, and it is 1 that
//!   clears), so that the next reception begins with the end of an old one.
//! * RSSI and SNR are rounded to whole decibels: the raw bytes are kept.
//! * A chip that is not there is not noticed, or makes the driver panic (a list that is said
//!   to have 255 entries is walked to its end): what was written must be read back.

use super::Counters;
use crate::config::Chip;
use crate::units::{Db, Dbm};
use embedded_hal_async::spi::{Error, ErrorKind, ErrorType, Operation, SpiDevice};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::time::Instant;

/// An edge's time stamp that is older than this belongs to something else: no host lets an
/// interrupt wait this long, unless it has stood still altogether.
const STAMP_EXPIRES: Duration = Duration::from_secs(1);

/// What the tap, and the interface beside it, have noted of the chip.
#[derive(Debug)]
pub struct Notes {
    counters: Arc<Counters>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    damaged: bool,
    rssi: u8,
    snr: i8,
    cleared: Option<Instant>,
    edge: Option<Instant>,
    /// How many edges in a row were found by looking at the line: nobody told of them.
    untold: u32,
    fault: Option<Fault>,
    /// Whether `init` only sets the chip up again, and leaves its reset line alone.
    gently: bool,
}

/// What is wrong with the SPI of a chip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// The host cannot use it.
    Spi(String),
    /// Nothing, or nothing sensible, comes back.
    NoAnswer,
}

/// How strong the last packet was.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Strength {
    /// Received power.
    pub rssi: Dbm,
    /// Signal-to-noise ratio, in steps of a quarter decibel.
    pub snr: Db,
}

impl Notes {
    /// Notes of a chip about which nothing is known. Damaged packets are counted there.
    pub fn new(counters: Arc<Counters>) -> Arc<Self> {
        Arc::new(Self { counters, inner: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("nobody panics while holding the notes")
    }

    /// Whether what was received last had a bad CRC or header.
    pub(super) fn damaged(&self) -> bool {
        self.lock().damaged
    }

    pub(super) fn strength(&self, chip: Chip) -> Strength {
        let inner = self.lock();
        let snr = f32::from(inner.snr) / 4.0;
        let raw = f32::from(inner.rssi);
        let rssi = match chip {
            // DS.SX1261-2 13.5.3
            Chip::Sx1262 => -raw / 2.0,
            // SX1276 data sheet 5.5.5, for the port above 525 MHz
            Chip::Sx1276 if inner.snr < 0 => -157.0 + raw + snr,
            Chip::Sx1276 => -157.0 + raw * 16.0 / 15.0,
        };
        Strength { rssi: Dbm(rssi), snr: Db(snr) }
    }

    /// When the interrupt line rose for what has just been read.
    pub(super) fn edge(&self) -> Instant {
        self.lock().edge.unwrap_or_else(Instant::now)
    }

    /// The line is high now, and rose at `stamp`, if that is to be believed.
    pub(super) fn set_edge(&self, stamp: Option<Instant>) {
        let now = Instant::now();
        let mut inner = self.lock();
        let told = stamp.filter(|stamp| is_of_now(*stamp, inner.cleared, now));
        inner.untold = if told.is_some() { 0 } else { inner.untold.saturating_add(1) };
        inner.edge = Some(told.unwrap_or(now));
    }

    /// How many edges in a row nobody told of, so that their time is only that of a look.
    pub(super) fn untold(&self) -> u32 {
        self.lock().untold
    }

    /// What the tap found wrong since it was asked last.
    pub(super) fn take_fault(&self) -> Option<Fault> {
        self.lock().fault.take()
    }

    pub(super) fn set_gently(&self, gently: bool) {
        self.lock().gently = gently;
    }

    pub(super) fn gently(&self) -> bool {
        self.lock().gently
    }

    fn fail(&self, fault: Fault) -> ErrorKind {
        self.lock().fault = Some(fault);
        ErrorKind::Other
    }
}

/// Whether the kernel's stamp can belong to the edge for which the line is high now.
fn is_of_now(stamp: Instant, cleared: Option<Instant>, now: Instant) -> bool {
    stamp <= now
        && now.duration_since(stamp) < STAMP_EXPIRES
        && cleared.is_none_or(|cleared| stamp > cleared)
}

/// An SPI device that takes notes of what is said.
#[derive(Debug)]
pub struct Tap<S> {
    spi: S,
    chip: Chip,
    notes: Arc<Notes>,
    /// SX1262: the list of retained registers, if that was what was written last.
    retained: Option<Vec<u8>>,
    /// SX1276: the register that was written last, and its value.
    written: Option<(u8, u8)>,
    /// SX1276: the bytes of the two registers that hold bandwidth and spreading factor.
    modem: [u8; 2],
}

impl<S> Tap<S> {
    /// A tap on the SPI device of this chip.
    pub fn new(spi: S, chip: Chip, notes: Arc<Notes>) -> Self {
        Self { spi, chip, notes, retained: None, written: None, modem: [0; 2] }
    }
}

mod sx126x {
    pub(super) const CLEAR_IRQ_STATUS: u8 = 0x02;
    pub(super) const SET_DIO_IRQ_PARAMS: u8 = 0x08;
    pub(super) const WRITE_REGISTER: u8 = 0x0d;
    pub(super) const GET_IRQ_STATUS: u8 = 0x12;
    pub(super) const GET_PACKET_STATUS: u8 = 0x14;
    pub(super) const READ_REGISTER: u8 = 0x1d;

    pub(super) const RETENTION_LIST: [u8; 2] = [0x02, 0x9f];
    /// The list has room for four registers.
    pub(super) const RETENTION_MAX: u8 = 4;

    pub(super) const RX_DONE: u16 = 0x0002;
    pub(super) const HEADER_ERROR: u16 = 0x0020;
    pub(super) const CRC_ERROR: u16 = 0x0040;
    /// TxDone, RxDone, HeaderErr, CrcErr and Timeout: the end of something.
    pub(super) const ENDS: u16 = 0x0263;
    /// Flags that do not exist.
    pub(super) const NO_FLAGS: u16 = 0xbc00;
}

mod sx127x {
    pub(super) const WRITE: u8 = 0x80;
    pub(super) const IRQ_FLAGS: u8 = 0x12;
    pub(super) const PKT_SNR: u8 = 0x19;
    pub(super) const PKT_RSSI: u8 = 0x1a;
    pub(super) const MODEM_CONFIG_1: u8 = 0x1d;
    pub(super) const MODEM_CONFIG_2: u8 = 0x1e;
    pub(super) const MODEM_CONFIG_3: u8 = 0x26;

    pub(super) const RX_DONE: u8 = 0x40;
    pub(super) const CRC_ERROR: u8 = 0x20;
    pub(super) const LOW_DATA_RATE: u8 = 0x08;

    /// Whether a symbol takes 16 ms or more, by RegModemConfig1 and 2.
    pub(super) fn slow_symbols(modem: [u8; 2]) -> bool {
        let bandwidth = match modem[0] >> 4 {
            7 => 125,
            8 => 250,
            9 => 500,
            // all narrower ones
            _ => 62,
        };
        (1u32 << (modem[1] >> 4)) >= 16 * bandwidth
    }
}

impl<S: SpiDevice> ErrorType for Tap<S> {
    type Error = ErrorKind;
}

impl<S: SpiDevice> SpiDevice for Tap<S> {
    async fn transaction(
        &mut self,
        operations: &mut [Operation<'_, u8>],
    ) -> Result<(), Self::Error> {
        match self.chip {
            Chip::Sx1262 => self.sx1262(operations).await,
            Chip::Sx1276 => self.sx1276(operations).await,
        }
    }
}

impl<S: SpiDevice> Tap<S> {
    async fn pass(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), ErrorKind> {
        self.spi.transaction(operations).await.map_err(|error| {
            self.notes.fail(Fault::Spi(format!("{error:?}")));
            error.kind()
        })
    }

    async fn sx1262(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), ErrorKind> {
        use sx126x::*;
        // only at once: after a fault the driver begins anew, perhaps with a reset
        let written = self.retained.take();
        if let [Operation::Write([SET_DIO_IRQ_PARAMS, masks @ ..])] = operations {
            let mut command = [SET_DIO_IRQ_PARAMS, 0, 0, 0, 0, 0, 0, 0, 0];
            for (i, (to, from)) in command[1..].iter_mut().zip(masks.iter()).enumerate() {
                *to = from & ENDS.to_be_bytes()[i % 2];
            }
            return self.pass(&mut [Operation::Write(&command)]).await;
        }
        self.pass(operations).await?;
        match operations {
            [Operation::Write([CLEAR_IRQ_STATUS, ..])] => {
                self.notes.lock().cleared = Some(Instant::now());
            }
            [Operation::Write([GET_IRQ_STATUS, ..]), _, Operation::Read([high, low])] => {
                let flags = u16::from_be_bytes([*high, *low]);
                if flags & NO_FLAGS != 0 {
                    return Err(self.no_answer());
                }
                let damaged = flags & (CRC_ERROR | HEADER_ERROR) != 0;
                self.packet_ended(damaged, flags & RX_DONE != 0);
            }
            [Operation::Write([GET_PACKET_STATUS, ..]), _, Operation::Read([rssi, snr, ..])] => {
                let mut inner = self.notes.lock();
                (inner.rssi, inner.snr) = (*rssi, snr.cast_signed());
            }
            [Operation::Write([WRITE_REGISTER, high, low]), Operation::Write(list)]
                if [*high, *low] == RETENTION_LIST =>
            {
                self.retained = Some(list.to_vec());
            }
            [Operation::Write([READ_REGISTER, high, low, ..]), Operation::Read(list)]
                if [*high, *low] == RETENTION_LIST =>
            {
                let sound = list.first().is_some_and(|entries| *entries <= RETENTION_MAX);
                if !sound || written.is_some_and(|written| written != *list) {
                    return Err(self.no_answer());
                }
            }
            _ => {}
        }
        Ok(())
    }

    async fn sx1276(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), ErrorKind> {
        use sx127x::*;
        let written = self.written.take();
        if let [Operation::Write([address, value])] = operations
            && *address & WRITE != 0
        {
            let register = *address & !WRITE;
            let mut value = *value;
            match register {
                IRQ_FLAGS if value == 0 => value = 0xff,
                MODEM_CONFIG_1 => self.modem[0] = value,
                MODEM_CONFIG_2 => self.modem[1] = value,
                MODEM_CONFIG_3 if slow_symbols(self.modem) => value |= LOW_DATA_RATE,
                _ => {}
            }
            self.pass(&mut [Operation::Write(&[*address, value])]).await?;
            self.written = Some((register, value));
            if register == IRQ_FLAGS {
                self.notes.lock().cleared = Some(Instant::now());
            }
            return Ok(());
        }
        self.pass(operations).await?;
        let [Operation::Write([register]), Operation::Read([value])] = operations else {
            return Ok(());
        };
        match *register {
            // all at once is not possible
            IRQ_FLAGS if *value == 0xff => return Err(self.no_answer()),
            IRQ_FLAGS => self.packet_ended(*value & CRC_ERROR != 0, *value & RX_DONE != 0),
            PKT_SNR => self.notes.lock().snr = value.cast_signed(),
            PKT_RSSI => self.notes.lock().rssi = *value,
            MODEM_CONFIG_1 if written.is_some_and(|w| w.0 == MODEM_CONFIG_1 && w.1 != *value) => {
                return Err(self.no_answer());
            }
            _ => {}
        }
        Ok(())
    }

    fn packet_ended(&self, damaged: bool, received: bool) {
        if damaged {
            self.notes.counters.bad_crc.fetch_add(1, Relaxed);
        }
        if damaged || received {
            self.notes.lock().damaged = damaged;
        }
    }

    fn no_answer(&self) -> ErrorKind {
        self.notes.fail(Fault::NoAnswer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    /// Answers every read with the bytes that it was given, and keeps what was written.
    #[derive(Default)]
    struct Script {
        answers: Vec<Vec<u8>>,
        written: Vec<Vec<u8>>,
    }

    impl ErrorType for Script {
        type Error = Infallible;
    }

    impl SpiDevice for Script {
        async fn transaction(
            &mut self,
            operations: &mut [Operation<'_, u8>],
        ) -> Result<(), Infallible> {
            let mut out = Vec::new();
            for operation in operations {
                match operation {
                    Operation::Write(bytes) => out.extend_from_slice(bytes),
                    Operation::Read(bytes) => bytes.copy_from_slice(&self.answers.remove(0)),
                    _ => unreachable!("lora-phy only writes and reads"),
                }
            }
            self.written.push(out);
            Ok(())
        }
    }

    fn tap(chip: Chip, answers: &[&[u8]]) -> Tap<Script> {
        let answers = answers.iter().map(|bytes| bytes.to_vec()).collect();
        let script = Script { answers, written: Vec::new() };
        Tap::new(script, chip, Notes::new(Arc::default()))
    }

    async fn read<const N: usize>(
        tap: &mut Tap<Script>,
        command: &[u8],
    ) -> Result<[u8; N], ErrorKind> {
        let mut bytes = [0; N];
        tap.transaction(&mut [Operation::Write(command), Operation::Read(&mut bytes)]).await?;
        Ok(bytes)
    }

    async fn status<const N: usize>(tap: &mut Tap<Script>, command: u8) -> Result<(), ErrorKind> {
        let (mut first, mut bytes) = ([0], [0; N]);
        tap.transaction(&mut [
            Operation::Write(&[command]),
            Operation::Read(&mut first),
            Operation::Read(&mut bytes),
        ])
        .await
    }

    #[tokio::test]
    async fn only_the_end_of_something_raises_dio1() {
        let mut tap = tap(Chip::Sx1262, &[]);
        tap.write(&[0x08, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]).await.expect("passes");
        tap.write(&[0x08, 0x02, 0x01, 0x02, 0x01, 0, 0, 0, 0]).await.expect("passes");
        assert_eq!(tap.spi.written[0], [0x08, 0x02, 0x63, 0x02, 0x63, 0, 0, 0, 0]);
        assert_eq!(tap.spi.written[1], [0x08, 0x02, 0x01, 0x02, 0x01, 0, 0, 0, 0]);
    }

    #[tokio::test]
    async fn damaged_packets_are_counted_and_marked() {
        let mut tap =
            tap(Chip::Sx1262, &[&[0x24], &[0, 0x42], &[0x24], &[0, 0x02], &[0x24], &[0, 0x20]]);
        let counted = |tap: &Tap<Script>| tap.notes.counters.bad_crc.load(Relaxed);
        status::<2>(&mut tap, 0x12).await.expect("a bad CRC");
        assert!(tap.notes.damaged());
        status::<2>(&mut tap, 0x12).await.expect("a good packet");
        assert!(!tap.notes.damaged());
        assert_eq!(counted(&tap), 1);
        status::<2>(&mut tap, 0x12).await.expect("a bad header");
        assert_eq!(counted(&tap), 2);
    }

    #[tokio::test]
    async fn strength_keeps_its_quarters() {
        let mut tap = tap(Chip::Sx1262, &[&[0x24], &[201, 0xd9, 0]]);
        status::<3>(&mut tap, 0x14).await.expect("passes");
        let expected = Strength { rssi: Dbm(-100.5), snr: Db(-9.75) };
        assert_eq!(tap.notes.strength(Chip::Sx1262), expected);
    }

    #[tokio::test]
    async fn a_chip_that_is_not_there_is_an_error_and_no_panic() {
        let list = [0x1d, 0x02, 0x9f, 0];
        // the line hangs in the air, high
        let mut high = tap(Chip::Sx1262, &[&[0xff; 9]]);
        assert!(read::<9>(&mut high, &list).await.is_err());
        assert_eq!(high.notes.take_fault(), Some(Fault::NoAnswer));
        // … or low
        let mut low = tap(Chip::Sx1262, &[&[0; 9], &[0; 9]]);
        read::<9>(&mut low, &list).await.expect("an empty list is possible");
        let write = [0x0d, 0x02, 0x9f];
        let entry = [1, 0x08, 0xac, 0, 0, 0, 0, 0, 0];
        low.transaction(&mut [Operation::Write(&write), Operation::Write(&entry)])
            .await
            .expect("passes");
        assert!(read::<9>(&mut low, &list).await.is_err());

        let mut flags = tap(Chip::Sx1262, &[&[0xff], &[0xff, 0xff]]);
        assert!(status::<2>(&mut flags, 0x12).await.is_err());

        let mut old = tap(Chip::Sx1276, &[&[0xff], &[0]]);
        assert!(read::<1>(&mut old, &[0x12]).await.is_err());
        old.write(&[0x9d, 0x72]).await.expect("passes");
        assert!(read::<1>(&mut old, &[0x1d]).await.is_err());
    }

    #[tokio::test]
    async fn slow_symbols_have_their_bit_on_the_sx1276() {
        for (sf, bandwidth, set) in [
            (7, 7, false),
            (10, 7, false),
            (11, 7, true),
            (12, 7, true),
            (11, 8, false),
            (12, 8, true),
        ] {
            let mut tap = tap(Chip::Sx1276, &[]);
            tap.write(&[0x9e, sf << 4]).await.expect("passes");
            tap.write(&[0x9d, bandwidth << 4]).await.expect("passes");
            tap.write(&[0xa6, 0x04]).await.expect("passes");
            let expected = if set { 0x0c } else { 0x04 };
            assert_eq!(tap.spi.written[2], [0xa6, expected], "SF{sf}, bandwidth {bandwidth}");
        }
    }

    #[tokio::test]
    async fn old_flags_are_cleared_on_the_sx1276() {
        let mut tap = tap(Chip::Sx1276, &[]);
        tap.write(&[0x92, 0x00]).await.expect("passes");
        assert_eq!(tap.spi.written[0], [0x92, 0xff]);
    }

    #[test]
    fn a_stamp_counts_only_if_it_can_be_of_this_edge() {
        let now = Instant::now() + Duration::from_secs(2);
        let ago = |ms| now - Duration::from_millis(ms);
        assert!(is_of_now(ago(3), None, now));
        assert!(is_of_now(ago(700), Some(ago(701)), now), "the host stood still");
        assert!(!is_of_now(ago(3), Some(ago(2)), now), "of the edge before");
        assert!(!is_of_now(ago(1000), None, now), "too old");
        assert!(!is_of_now(now + Duration::from_millis(1), None, now), "to come");
    }
}
