//! The lines beside SPI: reset, BUSY, the interrupt, and the switch of the antenna.

use super::tap::Notes;
use embedded_hal::digital::{InputPin, OutputPin};
use lora_phy::DelayNs;
use lora_phy::mod_params::RadioError;
use lora_phy::mod_traits::InterfaceVariant;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// Almost every command is done sooner; no timer is as fine.
const BUSY_SPIN: Duration = Duration::from_micros(200);

/// How often BUSY is looked at after that.
const BUSY_PAUSE: Duration = Duration::from_micros(100);

/// The longest that an SX1262 has reason to be busy is 10 ms: its oscillator starts.
const BUSY_PATIENCE: Duration = Duration::from_millis(100);

/// The shortest packet takes 12 ms on the air (SF7, 250 kHz): what comes ten times as often as
/// that is a line that hangs, or flags that cannot be cleared.
const INTERRUPTS_A_SECOND: u32 = 1000;

/// How long an interrupt whose edge was lost may go unnoticed. An answer to that packet has
/// missed its time, the packet itself has not.
const LOST_EDGE: Duration = Duration::from_millis(500);

/// The line by which a chip says that something has ended.
pub trait IrqLine {
    /// Waits until the line is high; at once when it is.
    fn high(&mut self) -> impl Future<Output = Result<(), RadioError>>;

    /// When it rose last, if that is known.
    fn stamp(&self) -> Option<Instant>;
}

/// The lines of one radio. lora-phy's own variants wait for BUSY without end.
#[derive(Debug)]
pub struct Interface<O, B, L> {
    reset: O,
    busy: Option<B>,
    irq: L,
    rx_enable: Option<O>,
    tx_enable: Option<O>,
    notes: Arc<Notes>,
    second: Instant,
    interrupts: u32,
}

impl<O: OutputPin, B: InputPin, L: IrqLine> Interface<O, B, L> {
    /// These lines: reset (low resets), BUSY (an SX1276 has none), interrupt, and the two that
    /// switch the antenna, where the HAT has them.
    pub fn new(
        reset: O,
        busy: Option<B>,
        irq: L,
        rx_enable: Option<O>,
        tx_enable: Option<O>,
        notes: Arc<Notes>,
    ) -> Self {
        let second = Instant::now();
        Self { reset, busy, irq, rx_enable, tx_enable, notes, second, interrupts: 0 }
    }

    fn switch(&mut self, receive: bool, transmit: bool) -> Result<(), RadioError> {
        // off before on: never both ways at once
        let (rx, tx) = (&mut self.rx_enable, &mut self.tx_enable);
        if !receive {
            set(rx, false, RadioError::RfSwitchRx)?;
        }
        set(tx, transmit, RadioError::RfSwitchTx)?;
        if receive {
            set(rx, true, RadioError::RfSwitchRx)?;
        }
        Ok(())
    }
}

fn set<O: OutputPin>(pin: &mut Option<O>, on: bool, error: RadioError) -> Result<(), RadioError> {
    pin.as_mut().map_or(Ok(()), |pin| pin.set_state(on.into())).map_err(|_| error)
}

impl<O: OutputPin, B: InputPin, L: IrqLine> InterfaceVariant for Interface<O, B, L> {
    async fn reset(&mut self, delay: &mut impl DelayNs) -> Result<(), RadioError> {
        self.interrupts = 0;
        if self.notes.gently() {
            return Ok(());
        }
        // both chips ask for 100 µs, and are ready 5 ms later
        delay.delay_ms(1).await;
        self.reset.set_low().map_err(|_| RadioError::Reset)?;
        delay.delay_ms(2).await;
        self.reset.set_high().map_err(|_| RadioError::Reset)?;
        delay.delay_ms(10).await;
        Ok(())
    }

    async fn wait_on_busy(&mut self) -> Result<(), RadioError> {
        let Some(busy) = &mut self.busy else { return Ok(()) };
        let mut idle = || busy.is_low().map_err(|_| RadioError::Busy);
        let spin = std::time::Instant::now();
        while spin.elapsed() < BUSY_SPIN {
            if idle()? {
                return Ok(());
            }
            std::hint::spin_loop();
        }
        let begin = Instant::now();
        while begin.elapsed() < BUSY_PATIENCE {
            sleep(BUSY_PAUSE).await;
            if idle()? {
                return Ok(());
            }
        }
        Err(RadioError::Busy)
    }

    async fn await_irq(&mut self) -> Result<(), RadioError> {
        // the level is looked at again now and then: an edge that was lost must not make the
        // radio deaf
        loop {
            match timeout(LOST_EDGE, self.irq.high()).await {
                Ok(high) => break high?,
                Err(_) => continue,
            }
        }
        if self.second.elapsed() >= Duration::from_secs(1) {
            self.second = Instant::now();
            self.interrupts = 0;
        }
        self.interrupts += 1;
        if self.interrupts > INTERRUPTS_A_SECOND {
            return Err(RadioError::Irq);
        }
        self.notes.set_edge(self.irq.stamp());
        Ok(())
    }

    async fn enable_rf_switch_rx(&mut self) -> Result<(), RadioError> {
        self.switch(true, false)
    }

    async fn enable_rf_switch_tx(&mut self) -> Result<(), RadioError> {
        self.switch(false, true)
    }

    async fn disable_rf_switch(&mut self) -> Result<(), RadioError> {
        self.switch(false, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::radio::hat::TokioDelay;
    use embedded_hal::digital::ErrorType;
    use std::convert::Infallible;
    use std::sync::Mutex;

    /// Lines that write down what is done to them; BUSY is low, the interrupt always high.
    #[derive(Clone)]
    struct Line(&'static str, Arc<Mutex<Vec<String>>>);

    impl ErrorType for Line {
        type Error = Infallible;
    }

    impl OutputPin for Line {
        fn set_low(&mut self) -> Result<(), Infallible> {
            self.1.lock().expect("no panic").push(format!("{} low", self.0));
            Ok(())
        }

        fn set_high(&mut self) -> Result<(), Infallible> {
            self.1.lock().expect("no panic").push(format!("{} high", self.0));
            Ok(())
        }
    }

    impl InputPin for Line {
        fn is_high(&mut self) -> Result<bool, Infallible> {
            Ok(false)
        }

        fn is_low(&mut self) -> Result<bool, Infallible> {
            Ok(true)
        }
    }

    impl IrqLine for Line {
        async fn high(&mut self) -> Result<(), RadioError> {
            Ok(())
        }

        fn stamp(&self) -> Option<Instant> {
            None
        }
    }

    type Lines = Interface<Line, Line, Line>;

    fn interface() -> (Lines, Arc<Notes>, impl Fn() -> Vec<String>) {
        let done = Arc::new(Mutex::new(Vec::new()));
        let line = |name| Line(name, Arc::clone(&done));
        let notes = Notes::new(Arc::default());
        let (rx, tx) = (Some(line("rx")), Some(line("tx")));
        let interface = Interface::new(
            line("reset"),
            Some(line("busy")),
            line("irq"),
            rx,
            tx,
            Arc::clone(&notes),
        );
        (interface, notes, move || std::mem::take(&mut *done.lock().expect("no panic")))
    }

    #[tokio::test(start_paused = true)]
    async fn the_antenna_is_never_switched_both_ways() {
        let (mut interface, _, done) = interface();
        interface.enable_rf_switch_rx().await.expect("pins");
        assert_eq!(done(), ["tx low", "rx high"]);
        interface.enable_rf_switch_tx().await.expect("pins");
        assert_eq!(done(), ["rx low", "tx high"]);
        interface.disable_rf_switch().await.expect("pins");
        assert_eq!(done(), ["rx low", "tx low"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_gentle_set_up_leaves_the_reset_line_alone() {
        let (mut interface, notes, done) = interface();
        interface.reset(&mut TokioDelay).await.expect("pins");
        assert_eq!(done(), ["reset low", "reset high"]);
        notes.set_gently(true);
        interface.reset(&mut TokioDelay).await.expect("pins");
        assert!(done().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn an_interrupt_line_that_hangs_is_an_error_and_no_busy_loop() {
        let (mut interface, _, _) = interface();
        for _ in 0..INTERRUPTS_A_SECOND {
            interface.await_irq().await.expect("as many may be");
        }
        assert_eq!(interface.await_irq().await, Err(RadioError::Irq));
        sleep(Duration::from_secs(1)).await;
        assert_eq!(interface.await_irq().await, Ok(()));
    }
}
