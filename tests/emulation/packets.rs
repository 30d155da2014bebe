//! Packets go from chip to chip as they do between real ones.

use crate::rig::{
    CHANNEL, Rig, Sx1262Kind, assert_clean, irq, modulation, set_rx, settle, spi, sx1262, sx1276,
    sx1276_over,
};
use embedded_hal_async::spi::{ErrorType, Operation, SpiDevice};
use lora_phy::mod_traits::RadioKind;
use lykta::emulation::{Air, Antenna, EmuChip, EmuSpi, Fate, Path, Signal};
use lykta::units::{Db, Dbm, Hertz};
use std::convert::Infallible;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};

const RX_DONE: u16 = 1 << 1;
const PREAMBLE: u16 = 1 << 2;
const HEADER: u16 = 1 << 4;
const CRC_ERROR: u16 = 1 << 6;

/// Sends one frame from one to the other. Returns what was heard, if anything was.
async fn pass<A: RadioKind, B: RadioKind>(
    from: &mut Rig<A>,
    to: &mut Rig<B>,
    sf: u8,
    frame: &[u8],
) -> Option<Vec<u8>> {
    let (heard, ()) = tokio::join!(to.hear(sf), async {
        settle().await;
        from.send(sf, frame).await;
    });
    heard.map(|(bytes, _, _)| bytes)
}

/// An SX1262 that listens for uplinks at SF7 since a while.
async fn listener(air: &Air) -> Rig<Sx1262Kind> {
    let mut rig = sx1262(air).await;
    rig.prepare_rx(7, CHANNEL, false).await;
    set_rx(&rig.chip);
    settle().await;
    rig
}

fn uplink() -> Signal {
    Signal::uplink(CHANNEL, modulation(7))
}

#[tokio::test(start_paused = true)]
async fn an_sx1262_hears_an_sx1262_at_every_spreading_factor() {
    let air = Air::new();
    let mut sender = sx1262(&air).await;
    let mut receiver = sx1262(&air).await;
    for sf in 5..=12 {
        let frame = vec![sf; 20];
        assert_eq!(pass(&mut sender, &mut receiver, sf, &frame).await, Some(frame), "SF{sf}");
    }
    assert!(air.log().iter().all(|sent| sent.signal.frequency == CHANNEL));
    assert_clean(&air);
}

#[tokio::test(start_paused = true)]
async fn sx1262_and_sx1276_hear_each_other_except_at_sf11() {
    let air = Air::new();
    let mut new = sx1262(&air).await;
    let mut old = sx1276(&air).await;
    for sf in [7, 8, 9, 10, 12] {
        let frame: Vec<u8> = (0..sf * 10).collect();
        let there = pass(&mut new, &mut old, sf, &frame).await;
        assert_eq!(there.as_deref(), Some(&*frame), "SF{sf} to the SX1276");
        let back = pass(&mut old, &mut new, sf, &frame).await;
        assert_eq!(back.as_deref(), Some(&*frame), "SF{sf} from the SX1276");
    }
    // lora-phy 3.0.1 does not set low-data-rate optimisation of an SX1276 at SF11/125 kHz, and
    // hands corrupt packets out without a word
    let frame = vec![11; 20];
    let there = pass(&mut new, &mut old, 11, &frame).await.expect("a packet");
    assert_ne!(there, frame);
    let back = pass(&mut old, &mut new, 11, &frame).await.expect("a packet");
    assert_ne!(back, frame);
    assert_clean(&air);
}

/// Sets the bit of RegModemConfig3 that lora-phy 3.0.1 forgets at SF11.
struct Cured(EmuSpi);

impl ErrorType for Cured {
    type Error = Infallible;
}

impl SpiDevice<u8> for Cured {
    async fn transaction(&mut self, ops: &mut [Operation<'_, u8>]) -> Result<(), Infallible> {
        if let [Operation::Write([0xa6, value])] = ops {
            let cured = [0xa6, *value | 1 << 3];
            return SpiDevice::transaction(&mut self.0, &mut [Operation::Write(&cured)]).await;
        }
        SpiDevice::transaction(&mut self.0, ops).await
    }
}

#[tokio::test(start_paused = true)]
async fn with_its_low_data_rate_bit_set_an_sx1276_hears_sf11() {
    let air = Air::new();
    let mut new = sx1262(&air).await;
    let chip = EmuChip::sx1276(&air, Antenna::Lines);
    let spi = Cured(chip.spi());
    let mut old = sx1276_over(chip, spi).await;
    let frame = vec![11; 20];
    assert_eq!(pass(&mut new, &mut old, 11, &frame).await.as_ref(), Some(&frame));
    assert_eq!(pass(&mut old, &mut new, 11, &frame).await.as_ref(), Some(&frame));
    assert_clean(&air);
}

#[tokio::test(start_paused = true)]
async fn power_and_noise_at_the_receiver_are_those_of_the_path() {
    let air = Air::new();
    let mut sender = sx1262(&air).await;
    let mut new = sx1262(&air).await;
    let mut old = sx1276(&air).await;
    for (rssi, snr) in [(-40, 10), (-97, 0), (-118, -12)] {
        let path = Path { rssi: Dbm(rssi as f32), snr: Db(snr as f32) };
        for chip in [&new.chip, &old.chip] {
            air.set_path_between(sender.chip.station(), chip.station(), Some(path));
        }
        let (a, b, ()) = tokio::join!(new.hear(7), old.hear(7), async {
            settle().await;
            sender.send(7, b"hello").await;
        });
        for (_, heard_rssi, heard_snr) in [a.expect("heard"), b.expect("heard")] {
            assert!((heard_rssi - rssi).abs() <= 1, "{heard_rssi} dBm for {rssi}");
            assert!((heard_snr - snr).abs() <= 1, "{heard_snr} dB for {snr}");
        }
    }
    assert_clean(&air);
}

#[tokio::test(start_paused = true)]
async fn what_is_out_of_reach_is_not_heard() {
    let air = Air::new();
    let near = air.station();
    let far = air.station();
    let rig = listener(&air).await;
    air.set_path_between(far.id(), rig.chip.station(), None);
    far.send(uplink(), b"far away").await;
    assert_eq!(irq(&rig.chip), 0);
    // nor does it disturb
    far.send_at(Instant::now() + Duration::from_millis(10), uplink(), b"far away");
    near.send(uplink(), b"near").await;
    assert_eq!(irq(&rig.chip), PREAMBLE | HEADER | RX_DONE);
    assert_clean(&air);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_hears_its_own_kind_of_signal_only() {
    let air = Air::new();
    let station = air.station();
    let rig = listener(&air).await;
    let good = uplink();
    let wrong = [
        Signal { inverted: true, ..good },
        Signal { sync_word: 0x1424, ..good },
        Signal { frequency: Hertz(868_300_000), ..good },
        Signal { modulation: modulation(8), ..good },
        Signal { modulation: lykta::eu868::DATA_RATES[6].modulation, ..good },
    ];
    for signal in wrong {
        station.send(signal, b"not for you").await;
        assert_eq!(irq(&rig.chip), 0, "{signal:?}");
    }
    // a quarter of the bandwidth off is near enough
    station.send(Signal { frequency: Hertz(868_131_250), ..good }, b"for you").await;
    assert_eq!(irq(&rig.chip), PREAMBLE | HEADER | RX_DONE);
    assert_clean(&air);
}

#[tokio::test(start_paused = true)]
async fn downlinks_are_heard_by_devices_and_by_no_gateway() {
    for inverted in [false, true] {
        let air = Air::new();
        let mut sender = sx1262(&air).await;
        let mut old_sender = sx1276(&air).await;
        let mut new = sx1262(&air).await;
        let mut old = sx1276(&air).await;
        new.prepare_rx(9, CHANNEL, inverted).await;
        old.prepare_rx(9, CHANNEL, inverted).await;
        let (a, b, ()) = tokio::join!(new.next(), old.next(), async {
            settle().await;
            sender.prepare_tx(9, !inverted, false, b"wrong way round").await;
            sender.lora.tx().await.unwrap();
            old_sender.prepare_tx(9, inverted, false, b"right").await;
            old_sender.lora.tx().await.unwrap();
        });
        assert_eq!(a.expect("heard").0, b"right");
        assert_eq!(b.expect("heard").0, b"right");
        let log = air.log();
        assert_eq!(
            (log[0].signal.inverted, log[1].signal.inverted, log[0].signal.crc),
            (!inverted, inverted, false)
        );
        assert_clean(&air);
    }
}

#[tokio::test(start_paused = true)]
async fn a_jammed_packet_has_a_checksum_error_in_the_flags_although_the_driver_says_ok() {
    let air = Air::new();
    let mut sender = sx1262(&air).await;
    let frame = [7; 20];

    let rig = listener(&air).await;
    air.jam_next(1);
    sender.send(7, &frame).await;
    assert_eq!(irq(&rig.chip), PREAMBLE | HEADER | RX_DONE | CRC_ERROR);
    assert_eq!(air.log()[0].fate, Fate::Jammed);

    // the next one is clear again
    spi(&rig.chip, &[0x02, 0xff, 0xff]);
    sender.send(7, &frame).await;
    assert_eq!(irq(&rig.chip), PREAMBLE | HEADER | RX_DONE);

    let mut receiver = sx1262(&air).await;
    air.jam_next(1);
    let heard = pass(&mut sender, &mut receiver, 7, &frame).await.expect("swallowed error");
    assert_eq!(heard.len(), frame.len());
    assert_ne!(heard, frame);
    assert_clean(&air);
}

#[tokio::test(start_paused = true)]
async fn an_sx1276_flags_a_checksum_error_too() {
    let air = Air::new();
    let station = air.station();
    let mut rig = sx1276(&air).await;
    rig.prepare_rx(7, CHANNEL, false).await;
    embedded_hal::digital::OutputPin::set_high(&mut rig.chip.rx_switch()).unwrap();
    spi(&rig.chip, &[0x81, 0x85]);
    for (jam, flags) in [(0, 0b0101_0000), (1, 0b0111_0000)] {
        air.jam_next(jam);
        station.send(uplink(), b"hello").await;
        assert_eq!(spi(&rig.chip, &[0x12, 0])[1], flags);
        spi(&rig.chip, &[0x92, 0xff]);
        assert_eq!(spi(&rig.chip, &[0x12, 0])[1], 0);
    }
    assert_clean(&air);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_packet_is_heard_by_nobody() {
    let air = Air::new();
    let (a, b) = (air.station(), air.station());
    let rig = listener(&air).await;
    air.drop_next(1);
    a.send(uplink(), b"lost").await;
    air.drop_next_of(b.id(), 1);
    b.send(uplink(), b"lost").await;
    assert_eq!(irq(&rig.chip), 0);
    air.drop_next_of(b.id(), 1);
    a.send(uplink(), b"here").await;
    assert_eq!(irq(&rig.chip), PREAMBLE | HEADER | RX_DONE);
    assert_clean(&air);
}

#[tokio::test(start_paused = true)]
async fn packets_collide_on_the_same_channel_at_the_same_spreading_factor() {
    let other_channel = Hertz(CHANNEL.0 + 200_000);
    for (frequency, sf, gap_ms, collide) in [
        (CHANNEL, 7, 0, true),
        (CHANNEL, 7, 30, true),
        // the last symbols of the first packet are enough
        (CHANNEL, 7, 56, true),
        (CHANNEL, 7, 57, false),
        (CHANNEL, 8, 10, false),
        (CHANNEL, 12, 10, false),
        (other_channel, 7, 10, false),
    ] {
        let air = Air::new();
        let (a, b) = (air.station(), air.station());
        let rig = listener(&air).await;
        let now = Instant::now();
        // 20 bytes at SF7 with a checksum: 56.576 ms
        let end = a.send_at(now, uplink(), &[1; 20]);
        let second = Signal { frequency, modulation: modulation(sf), ..uplink() };
        b.send_at(now + Duration::from_millis(gap_ms), second, &[2; 20]);
        sleep_until(end).await;
        let flags = irq(&rig.chip);
        assert_ne!(flags & RX_DONE, 0);
        assert_eq!(flags & CRC_ERROR != 0, collide, "{frequency:?} SF{sf} after {gap_ms} ms");
        assert_clean(&air);
    }
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_came_late_hears_nothing_of_the_packet() {
    // SetRx, 10 ms for the TCXO, then six of the preamble's eight symbols must be left
    let symbol = uplink().symbol();
    let deaf = Duration::from_millis(10);
    for (start, heard) in [
        (deaf, true),
        (deaf - 2 * symbol, true),
        (deaf - 2 * symbol - Duration::from_micros(1), false),
        (Duration::ZERO, false),
    ] {
        let air = Air::new();
        let station = air.station();
        let mut rig = sx1262(&air).await;
        rig.prepare_rx(7, CHANNEL, false).await;
        set_rx(&rig.chip);
        let end = station.send_at(Instant::now() + start, uplink(), b"hello");
        sleep_until(end + Duration::from_millis(1)).await;
        assert_eq!(irq(&rig.chip) & RX_DONE != 0, heard, "{start:?} after SetRx");
        assert_clean(&air);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_cut_short_arrives_as_a_checksum_error() {
    let air = Air::new();
    let mut sender = sx1262(&air).await;
    let rig = listener(&air).await;
    sender.prepare_tx(7, false, true, &[7; 50]).await;
    spi(&sender.chip, &[0x83, 0, 0, 0]);
    sleep(Duration::from_millis(60)).await;
    spi(&sender.chip, &[0x80, 0]);
    settle().await;
    assert_eq!(irq(&rig.chip), PREAMBLE | HEADER | RX_DONE | CRC_ERROR);
    let sent = air.log().remove(0);
    assert_eq!((sent.fate, sent.end - sent.start), (Fate::Cut, Duration::from_millis(50)));

    // nobody hears what vanished, cut short or not
    spi(&rig.chip, &[0x02, 0xff, 0xff]);
    air.drop_next(1);
    sender.prepare_tx(7, false, true, &[7; 50]).await;
    spi(&sender.chip, &[0x83, 0, 0, 0]);
    sleep(Duration::from_millis(60)).await;
    spi(&sender.chip, &[0x80, 0]);
    settle().await;
    assert_eq!(irq(&rig.chip), 0);
    assert_clean(&air);
}

#[tokio::test(start_paused = true)]
async fn packets_follow_each_other_in_the_buffer_of_a_continuous_receiver() {
    let air = Air::new();
    let station = air.station();
    let rig = listener(&air).await;
    let mut start = 0u8;
    for len in [200u8, 100, 7] {
        let frame = vec![len; usize::from(len)];
        station.send(uplink(), &frame).await;
        let status = spi(&rig.chip, &[0x13, 0, 0, 0]);
        assert_eq!(status[2..], [len, start]);
        let mut read = vec![0; 3 + frame.len()];
        read[..2].copy_from_slice(&[0x1e, start]);
        assert_eq!(spi(&rig.chip, &read)[3..], frame);
        start = start.wrapping_add(len);
    }
    assert_clean(&air);
}

#[tokio::test(start_paused = true)]
async fn a_sniffer_hears_everything_in_order() {
    let air = Air::new();
    let (a, b) = (air.station(), air.station());
    let mut sniffer = air.sniffer();
    let later = air.clone();
    let sending = tokio::spawn(async move {
        sleep(Duration::from_secs(1)).await;
        a.send(uplink(), b"first").await;
        b.send(Signal::downlink(Hertz(869_525_000), modulation(12)), b"second").await;
        later.drop_next(1);
        a.send(uplink(), b"third").await;
    });
    for frame in [&b"first"[..], b"second", b"third"] {
        let sent = sniffer.next().await;
        assert_eq!(sent.bytes, frame);
        assert!(Instant::now() >= sent.end && Instant::now() - sent.end < Duration::from_millis(2));
    }
    sending.await.unwrap();
    assert_eq!(air.sent(), 3);
}
