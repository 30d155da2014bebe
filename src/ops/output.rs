//! A lamp that says how the gateway is, and a relay and a buzzer for alarms, on pins of this
//! machine.

use crate::board::{self, BoardError};
use crate::config::OutputSettings;
use crate::message;
use embedded_hal::digital::OutputPin;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// Half a period of slow blinking.
const SLOW: Duration = Duration::from_secs(1);

/// Half a period of fast blinking.
const FAST: Duration = Duration::from_millis(200);

/// What the lamp says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lamp {
    /// Nothing is known yet: off.
    #[default]
    Off,
    /// All is well: on.
    Well,
    /// A broker is not connected: slow blinking.
    NoBroker,
    /// A part has failed: fast blinking.
    Fault,
}

impl Lamp {
    /// How long it stays as it is, if it blinks.
    fn half_period(self) -> Option<Duration> {
        match self {
            Self::Off | Self::Well => None,
            Self::NoBroker => Some(SLOW),
            Self::Fault => Some(FAST),
        }
    }
}

/// What the outputs shall show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Wanted {
    lamp: Lamp,
    relay: bool,
    buzzer: bool,
}

/// The pins of the outputs; where there is none, nothing happens.
#[derive(Debug)]
pub struct Pins<P: OutputPin> {
    /// The status lamp.
    pub lamp: Option<P>,
    /// The relay.
    pub relay: Option<P>,
    /// The buzzer.
    pub buzzer: Option<P>,
}

impl<P: OutputPin> Pins<P> {
    fn set(&mut self, lamp: bool, relay: bool, buzzer: bool) {
        let pins = [(&mut self.lamp, lamp), (&mut self.relay, relay), (&mut self.buzzer, buzzer)];
        for (pin, on) in pins {
            if let Some(pin) = pin {
                // a pin of this machine cannot fail
                let _ = pin.set_state(on.into());
            }
        }
    }
}

impl<P: OutputPin> Drop for Pins<P> {
    /// Nobody minds them any more: a buzzer must not go on for ever.
    fn drop(&mut self) {
        self.set(false, false, false);
    }
}

/// The outputs of this machine, as the settings have them. Without any, nothing of this does
/// anything.
#[derive(Debug)]
pub struct Outputs {
    wanted: watch::Sender<Wanted>,
    task: Option<JoinHandle<()>>,
}

impl Outputs {
    /// Takes the pins of the settings. If that fails it is told, and lykta goes on without. To
    /// be called in a tokio runtime.
    pub fn open(settings: &OutputSettings) -> Self {
        let &OutputSettings { status_led, relay, buzzer, button: _ } = settings;
        if status_led.is_none() && relay.is_none() && buzzer.is_none() {
            return Self::none();
        }
        let open = || {
            let pin = |number: Option<u8>| number.map(|n| board::output(n, false)).transpose();
            Ok(Pins { lamp: pin(status_led)?, relay: pin(relay)?, buzzer: pin(buzzer)? })
        };
        match open() {
            Ok(pins) => Self::over(pins),
            Err(error) => {
                Self::missing(&error);
                Self::none()
            }
        }
    }

    /// Outputs over these pins. To be called in a tokio runtime.
    pub fn over<P: OutputPin + Send + 'static>(pins: Pins<P>) -> Self {
        let (wanted, receiver) = watch::channel(Wanted::default());
        Self { wanted, task: Some(tokio::spawn(show(pins, receiver))) }
    }

    fn none() -> Self {
        Self { wanted: watch::channel(Wanted::default()).0, task: None }
    }

    fn missing(error: &BoardError) {
        log::warn!(
            MESSAGE_ID = message::OUTPUT_MISSING,
            LYKTA_REASON = error.to_string();
            "[output]: {error}; lykta goes on without lamp, relay and buzzer"
        );
    }

    /// Sets the lamp.
    pub fn lamp(&self, lamp: Lamp) {
        self.want(|wanted| wanted.lamp = lamp);
    }

    /// Closes or opens the relay.
    pub fn relay(&self, closed: bool) {
        self.want(|wanted| wanted.relay = closed);
    }

    /// Switches the buzzer on or off.
    pub fn buzzer(&self, on: bool) {
        self.want(|wanted| wanted.buzzer = on);
    }

    fn want(&self, change: impl FnOnce(&mut Wanted)) {
        self.wanted.send_if_modified(|wanted| {
            let before = *wanted;
            change(wanted);
            *wanted != before
        });
    }

    /// All off, and the pins free again.
    pub async fn stop(self) {
        drop(self.wanted);
        if let Some(task) = self.task {
            // it ends at once, and does not panic
            let _ = task.await;
        }
    }
}

/// Shows what is wanted until nobody wants anything any more.
async fn show<P: OutputPin>(mut pins: Pins<P>, mut wanted: watch::Receiver<Wanted>) {
    loop {
        let Wanted { lamp, relay, buzzer } = *wanted.borrow_and_update();
        let half_period = lamp.half_period();
        let mut on = lamp != Lamp::Off;
        loop {
            pins.set(on, relay, buzzer);
            tokio::select! {
                biased;
                changed = wanted.changed() => match changed {
                    Ok(()) => break,
                    Err(_) => return,
                },
                () = sleep(half_period.unwrap_or_default()), if half_period.is_some() => on = !on,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;
    use std::sync::{Arc, Mutex};
    use tokio::time::Instant;

    /// A pin that writes down when it changed.
    #[derive(Clone)]
    struct Recorder {
        begin: Instant,
        changes: Arc<Mutex<Vec<(u128, bool)>>>,
    }

    impl Recorder {
        fn new() -> Self {
            Self { begin: Instant::now(), changes: Arc::default() }
        }

        fn put(&self, on: bool) {
            let mut changes = self.changes.lock().expect("no panic");
            if changes.last().map_or(on, |(_, last)| *last != on) {
                changes.push((self.begin.elapsed().as_millis(), on));
            }
        }

        fn take(&self) -> Vec<(u128, bool)> {
            std::mem::take(&mut self.changes.lock().expect("no panic"))
        }
    }

    impl embedded_hal::digital::ErrorType for Recorder {
        type Error = Infallible;
    }

    impl OutputPin for Recorder {
        fn set_low(&mut self) -> Result<(), Infallible> {
            self.put(false);
            Ok(())
        }

        fn set_high(&mut self) -> Result<(), Infallible> {
            self.put(true);
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_lamp_tells_how_it_is_by_its_pace() {
        let lamp = Recorder::new();
        let outputs = Outputs::over(Pins { lamp: Some(lamp.clone()), relay: None, buzzer: None });
        outputs.lamp(Lamp::Well);
        sleep(Duration::from_secs(10)).await;
        outputs.lamp(Lamp::NoBroker);
        sleep(Duration::from_millis(2500)).await;
        outputs.lamp(Lamp::Fault);
        sleep(Duration::from_millis(500)).await;
        outputs.stop().await;
        let changes = lamp.take();
        let expected = [
            (0, true),
            (11_001, false),
            (12_002, true),
            (12_702, false),
            (12_903, true),
            (13_000, false),
        ];
        assert_eq!(changes.len(), expected.len(), "{changes:?}");
        for (change, expected) in changes.iter().zip(expected) {
            assert_eq!(change.1, expected.1, "{changes:?}");
            assert!(change.0.abs_diff(expected.0) <= 5, "{changes:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn everything_is_off_at_the_end() {
        let [relay, buzzer] = [Recorder::new(), Recorder::new()];
        let pins = Pins { lamp: None, relay: Some(relay.clone()), buzzer: Some(buzzer.clone()) };
        let outputs = Outputs::over(pins);
        outputs.relay(true);
        outputs.buzzer(true);
        sleep(Duration::from_secs(1)).await;
        outputs.buzzer(false);
        sleep(Duration::from_secs(1)).await;
        outputs.stop().await;
        assert_eq!(relay.take(), [(0, true), (2000, false)]);
        assert_eq!(buzzer.take(), [(0, true), (1000, false)]);
    }

    #[tokio::test]
    async fn without_pins_in_the_settings_nothing_runs() {
        let settings = OutputSettings { status_led: None, relay: None, buzzer: None, button: None };
        let outputs = Outputs::open(&settings);
        assert!(outputs.task.is_none());
        outputs.lamp(Lamp::Fault);
        outputs.stop().await;
    }
}
