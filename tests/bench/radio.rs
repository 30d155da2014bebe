//! What the radio costs: `cargo bench --bench radio`.
//!
//! Real LoRaWAN end devices on emulated chips join and are pinned in virtual time, through the
//! unmodified drivers, the radio task, the ingest loop and SQLite; and a radio that hears
//! nothing idles on its own thread, in real time.
#![allow(clippy::unwrap_used, missing_docs, dead_code)]

#[path = "../air/story.rs"]
mod story;
#[path = "../air/world.rs"]
mod world;

use lykta::clock::Clock;
use lykta::emulation::{Air, Board, EmuChip};
use lykta::radio::Outlet;
use lykta::radio::hat::interface::Interface;
use lykta::radio::hat::tap::Notes;
use lykta::radio::hat::task::{Task, Timing};
use lykta::radio::hat::{Hat, Parts, State, sx1262};
use std::sync::Arc;
use std::time::{Duration, Instant};
use story::{joins, story};
use tokio::sync::watch;
use world::{EUI, Setup, sx1262_at};

/// How long the radio is watched while it does nothing.
const IDLE: Duration = Duration::from_secs(10);

fn main() {
    let begin = Instant::now();
    let tries = joins(100);
    let wall = begin.elapsed().as_secs_f64();
    println!("100 devices join at SF7 ({tries} requests){wall:>36.2} s");

    let begin = Instant::now();
    for (spreading_factor, data_rate) in [(7, 5), (9, 3), (12, 0)] {
        for seed in 1..=4 {
            story(Setup::single(sx1262_at(spreading_factor)), data_rate, seed, 50);
        }
    }
    for seed in 1..=4 {
        let setup = Setup { only_rx2: true, ..Setup::single(sx1262_at(7)) };
        story(setup, 5, seed, 50);
    }
    for (rx1_delay, seed) in [(2, 1), (5, 2), (15, 3), (5, 4)] {
        let mut setup = Setup::single(sx1262_at(9));
        setup.plan.rx1_delay = rx1_delay;
        story(setup, 3, seed, 50);
    }
    let wall = begin.elapsed().as_secs_f64();
    println!("20 devices join, are pinned and heard (SF7/9/12, RX1/RX2, delays){wall:>9.2} s");
    println!("CPU of the thread of an idle radio{:>40.2} %", idle());
}

/// The share of a core that the thread of an idle radio takes, in percent.
fn idle() -> f64 {
    let (stop, stopping) = watch::channel(false);
    let parts = Parts {
        name: "bench".into(),
        settings: sx1262_at(9),
        eui: EUI,
        outlet: Outlet::new(|_| Ok(())),
        clock: Clock::system(),
        stop: stopping,
    };
    let chip = EmuChip::sx1262(&Air::new(), Board::default());
    let (hat, _ended) = Hat::spawn_with(parts, Timing::Exact, async move |task: Task| {
        let (settings, notes) = (task.settings.clone(), Notes::new(Arc::clone(&task.counters)));
        task.keep(async || {
            let (busy, notes) = (Some(chip.busy_pin()), Arc::clone(&notes));
            let (reset, dio) = (chip.reset_pin(), chip.dio_pin());
            let interface = Interface::new(reset, busy, dio, None, None, Arc::clone(&notes));
            sx1262(chip.spi(), interface, notes, &settings).await
        })
        .await;
    })
    .unwrap();
    while hat.counters().state() != State::Up {
        std::thread::sleep(Duration::from_millis(10));
    }
    let before = cpu("radio-bench");
    std::thread::sleep(IDLE);
    let used = cpu("radio-bench") - before;
    stop.send_replace(true);
    100.0 * used.as_secs_f64() / IDLE.as_secs_f64()
}

/// CPU time of the thread of this name. The scheduler counts it in nanoseconds.
fn cpu(name: &str) -> Duration {
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let task = task.unwrap().path();
        if std::fs::read_to_string(task.join("comm")).unwrap().trim() == name {
            let stat = std::fs::read_to_string(task.join("schedstat")).unwrap();
            return Duration::from_nanos(stat.split(' ').next().unwrap().parse().unwrap());
        }
    }
    panic!("no thread {name}");
}
