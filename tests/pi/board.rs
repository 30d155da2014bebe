//! The adapters themselves.

use crate::support::wait_until;
use embedded_hal_async::spi::{Operation, SpiDevice};
use lykta::board::{self, BoardError, Edge, Spi};
use lykta::config::SpiPort;
use lykta::radio::hat::interface::IrqLine;
use rppal::gpio::{Gpio, Level, Mode};
use std::time::Duration;
use tokio::time::timeout;

const PORT: SpiPort = SpiPort { bus: 0, select: 0 };

/// What the memory answers to 9f (JEDEC's Read Identification): Winbond, its kind, its size.
const IDENTIFICATION: [u8; 3] = [0xef, 0x40, 0x14];

/// Nothing tells the emulated memory that a question is over, but that it has no more to answer.
const WHOLE_ANSWER: usize = 16;

/// Whether the kernel waits for edges of the line with this BCM number.
fn edges_of(number: u8) -> bool {
    let lines = std::fs::read_to_string("/sys/kernel/debug/gpio").unwrap();
    let name = format!("GPIO{number} ");
    lines.lines().any(|line| line.contains(&name) && line.contains("IRQ"))
}

#[tokio::test]
async fn what_is_on_spi_answers_whoever_selects_it() {
    for select in [None, Some(21)] {
        let mut spi = Spi::open(PORT, select).unwrap();
        let mut answer = [0; WHOLE_ANSWER];
        spi.transaction(&mut [Operation::Write(&[0x9f]), Operation::Read(&mut answer)])
            .await
            .unwrap();
        assert!(answer.starts_with(&IDENTIFICATION), "{spi:?}: {answer:02x?}");

        // in pieces, as the driver of an SX1262 reads a status before the rest
        let (mut first, mut rest) = ([0; 1], [0; WHOLE_ANSWER - 1]);
        let asked =
            [Operation::Write(&[0x9f]), Operation::Read(&mut first), Operation::Read(&mut rest)];
        spi.transaction(&mut { asked }).await.unwrap();
        assert_eq!([&first, &rest[..]].concat(), answer, "{spi:?}");
    }
}

#[test]
fn a_pin_that_selects_is_high_until_it_does_and_free_again_afterwards() {
    let spi = Spi::open(PORT, Some(21)).unwrap();
    let pins = Gpio::new().unwrap();
    let taken = board::output(21, true).unwrap_err();
    assert!(matches!(taken, BoardError::PinUsed(21)), "{taken:?}");
    drop(spi);
    let pin = pins.get(21).unwrap();
    assert_eq!((pin.mode(), pin.read()), (Mode::Input, Level::High));
}

#[test]
fn outputs_have_their_level_from_the_first_moment_on() {
    for high in [true, false] {
        let mut pin = board::output(17, high).unwrap();
        assert_eq!((pin.is_set_high(), pin.is_set_low()), (high, !high));
        pin.toggle();
        assert_eq!((pin.is_set_high(), pin.is_set_low()), (!high, high));
    }
}

#[test]
fn a_pin_is_one_s_own_until_it_is_dropped() {
    let first = board::output(17, false).unwrap();
    let second = board::input(17).unwrap_err();
    assert_eq!(second.to_string(), "GPIO 17 is used twice in the settings");
    drop(first);
    board::input(17).unwrap();
    let none = board::output(200, false).unwrap_err();
    assert_eq!(none.to_string(), "there is no GPIO 200 on this machine");
}

#[tokio::test]
async fn an_edge_is_waited_for_in_the_kernel_and_only_while_it_is_wanted() {
    let mut edge = Edge::watch(16).unwrap();
    wait_until("the kernel waits for edges", || edges_of(16));
    // a line that nobody drives is no interrupt
    assert!(timeout(Duration::from_millis(200), edge.high()).await.is_err());
    assert_eq!(edge.stamp(), None);
    drop(edge);
    wait_until("it does not any more", || !edges_of(16));
}

#[tokio::test]
async fn a_line_that_is_high_already_is_not_waited_for() {
    // the emulated pin keeps the level that it was driven to
    let mut driven = board::output(25, true).unwrap();
    driven.set_reset_on_drop(false);
    drop(driven);
    let mut edge = Edge::watch(25).unwrap();
    edge.high().await.unwrap();
    assert_eq!(edge.stamp(), None, "nothing rose");
}
