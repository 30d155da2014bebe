//! A button on a pin of this machine, by which whoever is near answers alarms.

use crate::board::{self, BoardError};
use crate::message;
use embedded_hal::digital::InputPin;
use std::time::Duration;
use tokio::time::sleep;

/// How often it is looked at: nobody presses for shorter.
const EACH: Duration = Duration::from_millis(25);

/// A contact bounces for less than so many looks.
const STEADY: u32 = 2;

/// Calls `pressed` for each time that the button of this pin is pressed, for ever. Without such a
/// pin that is told, and nobody is ever called.
pub async fn watch(pin: u8, pressed: impl FnMut()) {
    match board::button(pin) {
        Ok(pin) => over(pin, pressed).await,
        Err(error) => missing(&error),
    }
}

/// The same over any pin that is low while the button is pressed.
pub async fn over<P: InputPin>(mut pin: P, mut pressed: impl FnMut()) {
    // one that is held at the start was pressed for something else
    let (mut is_down, mut looks) = (true, 0);
    loop {
        // a pin of this machine cannot fail
        let down = pin.is_low().unwrap_or(false);
        looks = if down == is_down { 0 } else { looks + 1 };
        if looks >= STEADY {
            (is_down, looks) = (down, 0);
            if down {
                pressed();
            }
        }
        sleep(EACH).await;
    }
}

fn missing(error: &BoardError) {
    log::warn!(
        MESSAGE_ID = message::OUTPUT_MISSING,
        LYKTA_REASON = error.to_string();
        "[output]: {error}; lykta goes on without its button"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::convert::Infallible;
    use std::rc::Rc;

    #[derive(Clone)]
    struct Fake(Rc<Cell<bool>>);

    impl embedded_hal::digital::ErrorType for Fake {
        type Error = Infallible;
    }

    impl InputPin for Fake {
        fn is_high(&mut self) -> Result<bool, Infallible> {
            Ok(!self.0.get())
        }

        fn is_low(&mut self) -> Result<bool, Infallible> {
            Ok(self.0.get())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_press_counts_once_however_it_bounces_and_however_long_it_is_held() {
        let (down, presses) = (Rc::new(Cell::new(true)), Cell::new(0));
        let story = async {
            // held from the start, and let go
            sleep(10 * EACH).await;
            down.set(false);
            sleep(10 * EACH).await;
            assert_eq!(presses.get(), 0);
            for press in 1..=3 {
                for bounce in [true, false, true] {
                    down.set(bounce);
                    sleep(EACH).await;
                }
                sleep(100 * EACH).await;
                assert_eq!(presses.get(), press);
                down.set(false);
                sleep(10 * EACH).await;
            }
        };
        tokio::select! {
            () = over(Fake(Rc::clone(&down)), || presses.set(presses.get() + 1)) => {}
            () = story => {}
        }
        assert_eq!(presses.get(), 3);
    }
}
