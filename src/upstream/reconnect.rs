//! When to connect next, and to which of the broker's addresses.
//!
//! A round tries each address once, from the first on, without a pause. Then comes a wait, twice
//! as long after each round, with jitter.
//!
//! What ends one connection may have ended those of a whole city in this very second: a broker
//! that died, a mobile network that is gone, a street without power. So whoever was connected, or
//! has just been booted, comes back at any moment of the first half minute, all of them being
//! equally likely, and after that waits about as long as this took: few of the second attempts
//! of those who came early meet the first ones of those who came late. A broker is asked by less
//! than a tenth of its gateways in any one second, however long it was gone.
//!
//! This room is pure: time, as what has passed since any fixed moment, and chance come in as
//! arguments.

use super::backoff::Backoff;
use std::time::Duration;

/// After a loss the waits count as doubled so many times: 40 s when the least is 5 s.
const DOUBLED_BY_LOSS: u32 = 3;

/// The first attempts after it are spread over this part of that: 30 s.
const SPREAD: f64 = 0.75;

/// No attempt begins sooner after the end of the last one than the shortest of the waits that are
/// set divided by this, but for the other addresses of a round.
const FLOOR: u32 = 10;

/// A wait that an alarm cuts short is at least this part of the most that it may be. Little
/// jitter: the attempts are spread by then, and more of it would be more attempts.
const ALARM_LEAST: f64 = 0.9;

/// How patient to be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// The first wait after a failed round, before jitter of half of it either way.
    pub(super) least: Duration,
    /// No wait is longer, jitter included.
    pub(super) greatest: Duration,
    /// After a connection that lived so long the waits are short again.
    pub(super) stable: Duration,
    /// No wait is longer while an alarm waits.
    pub(super) alarm: Duration,
}

#[derive(Debug)]
pub(super) struct Reconnect {
    pace: Pace,
    addresses: usize,
    address: usize,
    backoff: Backoff,
    connected_at: Option<Duration>,
    /// When the last attempt or connection came to its end.
    ended: Duration,
    due: Duration,
    /// Whether an alarm has cut this wait short.
    hurried: bool,
}

impl Reconnect {
    /// To be connected at once to the first of so many addresses.
    pub(super) fn new(pace: Pace, addresses: usize, now: Duration) -> Self {
        // with jitter of half of it, the longest wait is the greatest
        let longest = pace.greatest.mul_f64(1.0 / 1.5);
        Self {
            pace,
            addresses,
            address: 0,
            backoff: Backoff::new(pace.least.min(longest), longest),
            connected_at: None,
            ended: now,
            due: now,
            hurried: false,
        }
    }

    /// The machine was booted a moment ago, and perhaps all others of its city were.
    pub(super) fn after_boot(mut self, random: f64) -> Self {
        self.due = self.ended + self.spread(random);
        self
    }

    /// Which address is next, from 0.
    pub(super) fn address(&self) -> usize {
        self.address
    }

    /// When the next attempt is to begin.
    pub(super) fn due(&self) -> Duration {
        self.due
    }

    /// The broker has accepted the connection.
    pub(super) fn connected(&mut self, now: Duration) {
        self.connected_at = Some(now);
    }

    /// An attempt has failed, or the connection was lost. `alarm` is whether one waits; `random`
    /// is from 0 to 1.
    pub(super) fn ended(&mut self, now: Duration, alarm: bool, random: f64) {
        let connected_at = self.connected_at.take();
        self.address = (self.address + 1) % self.addresses;
        let mut wait = match connected_at {
            Some(at) => {
                if now.saturating_sub(at) >= self.pace.stable {
                    self.backoff.reset();
                    self.address = 0;
                } else {
                    self.backoff.next();
                }
                self.spread(random)
            }
            None if self.address != 0 => Duration::ZERO,
            None => self.backoff.next().mul_f64(0.5 + random),
        };
        if alarm {
            let share = ALARM_LEAST + (1.0 - ALARM_LEAST) * random;
            wait = wait.min(self.pace.alarm.mul_f64(share));
        }
        self.ended = now;
        self.due = now + wait;
        self.hurried = alarm;
    }

    /// Whether an alarm may cut this wait short.
    pub(super) fn patient(&self) -> bool {
        !self.hurried
    }

    /// An alarm has begun to wait, perhaps one in each street: a fire that all of a city smells.
    pub(super) fn alarm(&mut self, now: Duration, random: f64) {
        if self.patient() {
            self.hurried = true;
            // who comes soon enough anyway keeps to it: the sooner of two chances is too soon
            if self.due > now + self.pace.alarm {
                let soon = now + self.pace.alarm.mul_f64(ALARM_LEAST * random);
                self.due = soon.max(self.ended + self.floor());
            }
        }
    }

    /// What stood in the way is gone.
    pub(super) fn at_once(&mut self, now: Duration) {
        self.due = self.due.min(now);
    }

    /// Any moment of the time over which the attempts of a fleet are spread.
    fn spread(&mut self, random: f64) -> Duration {
        self.backoff.skip(DOUBLED_BY_LOSS);
        let (floor, most) = (self.floor(), self.backoff.wait().mul_f64(SPREAD));
        floor + (most - floor).mul_f64(random)
    }

    fn floor(&self) -> Duration {
        self.pace.least.min(self.pace.greatest).min(self.pace.alarm) / FLOOR
    }
}

#[cfg(test)]
mod storm;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PACE: Pace = Pace {
        least: Duration::from_secs(5),
        greatest: Duration::from_secs(600),
        stable: Duration::from_secs(300),
        alarm: Duration::from_secs(30),
    };

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// The wait after it failed now.
    fn wait(reconnect: &mut Reconnect, now: Duration, alarm: bool, random: f64) -> Duration {
        reconnect.ended(now, alarm, random);
        reconnect.due() - now
    }

    /// The waits of one gateway, in seconds, with the least and with the most jitter.
    fn waits(connected_for: Option<u64>) -> [(f64, f64); 9] {
        let both = [0.0, 1.0].map(|random| {
            let mut reconnect = Reconnect::new(PACE, 1, at(0));
            let mut now = at(1000);
            if let Some(seconds) = connected_for {
                reconnect.connected(now);
                now += at(seconds);
            }
            [(); 9].map(|()| {
                let wait = wait(&mut reconnect, now, false, random);
                now += wait;
                wait.as_secs_f64()
            })
        });
        std::array::from_fn(|n| (both[0][n], both[1][n]))
    }

    #[test]
    fn an_attempt_that_fails_is_made_again_after_five_seconds_and_up_to_ten_minutes() {
        let expected = [(2.5, 7.5), (5.0, 15.0), (10.0, 30.0), (20.0, 60.0), (40.0, 120.0)];
        assert_eq!(waits(None)[..5], expected);
        assert_eq!(waits(None)[5..8], [(80.0, 240.0), (160.0, 480.0), (200.0, 600.0)]);
        assert_eq!(waits(None)[8], (200.0, 600.0));
    }

    #[test]
    fn after_a_loss_all_come_within_half_a_minute_and_few_of_them_again_so_soon() {
        assert_eq!(
            waits(Some(300))[..4],
            [(0.5, 30.0), (20.0, 60.0), (40.0, 120.0), (80.0, 240.0)]
        );
    }

    #[test]
    fn only_a_stable_connection_makes_the_waits_short_again() {
        let mut reconnect = Reconnect::new(PACE, 1, at(0));
        for _ in 0..10 {
            reconnect.ended(at(0), false, 1.0);
        }
        reconnect.connected(at(1000));
        assert_eq!(wait(&mut reconnect, at(1299), false, 1.0), at(300));
        reconnect.connected(at(2000));
        assert_eq!(wait(&mut reconnect, at(2300), false, 1.0), at(30));
        // and each one that is not makes them longer
        for longest in [60, 120, 240, 300, 300] {
            reconnect.connected(at(3000));
            assert_eq!(wait(&mut reconnect, at(3001), false, 1.0), at(longest));
        }
    }

    #[test]
    fn each_address_is_tried_once_a_round_and_the_first_is_preferred() {
        let mut reconnect = Reconnect::new(PACE, 3, at(0));
        for least in [2500, 5000] {
            for next in [1, 2] {
                assert_eq!(wait(&mut reconnect, at(0), false, 0.0), at(0));
                assert_eq!(reconnect.address(), next);
            }
            assert_eq!(wait(&mut reconnect, at(0), false, 0.0), Duration::from_millis(least));
            assert_eq!(reconnect.address(), 0);
        }
        // one that accepts and breaks is left for the next, but not in the same instant by all
        reconnect.connected(at(0));
        assert_eq!(wait(&mut reconnect, at(1), false, 1.0), at(30));
        assert_eq!(reconnect.address(), 1);
        // a long time on another one
        reconnect.connected(at(100));
        reconnect.ended(at(1000), false, 0.5);
        assert_eq!(reconnect.address(), 0);
    }

    #[test]
    fn a_waiting_alarm_caps_the_wait() {
        let mut reconnect = Reconnect::new(PACE, 1, at(0));
        for _ in 0..10 {
            reconnect.ended(at(0), false, 1.0);
        }
        assert_eq!(wait(&mut reconnect, at(0), true, 1.0), at(30));
        assert_eq!(wait(&mut reconnect, at(0), true, 0.0), at(27));
        assert!(!reconnect.patient(), "it is capped already");
        // one that comes in the middle of a long wait
        assert_eq!(wait(&mut reconnect, at(0), false, 1.0), at(600));
        reconnect.alarm(at(100), 0.5);
        assert_eq!(reconnect.due(), Duration::from_millis(113_500));
        reconnect.alarm(at(101), 0.0);
        assert_eq!(reconnect.due(), Duration::from_millis(113_500), "once a wait");
        // at its end, and at its very begin
        reconnect.ended(at(0), false, 1.0);
        reconnect.alarm(at(570), 0.0);
        assert_eq!(reconnect.due(), at(600), "it is near");
        reconnect.ended(at(0), false, 1.0);
        reconnect.alarm(at(0), 0.0);
        assert_eq!(reconnect.due(), Duration::from_millis(500));
    }

    #[test]
    fn what_stood_in_the_way_is_gone() {
        let mut reconnect = Reconnect::new(PACE, 1, at(0));
        reconnect.ended(at(10), false, 1.0);
        reconnect.at_once(at(12));
        assert_eq!(reconnect.due(), at(12));
        reconnect.at_once(at(13));
        assert_eq!(reconnect.due(), at(12));
    }

    /// What happens to a gateway next.
    #[derive(Debug, Clone)]
    enum Step {
        Fails,
        IsConnectedFor(u64),
        HasAnAlarm,
    }

    fn steps() -> impl Strategy<Value = Vec<(Step, f64, bool)>> {
        let step = prop_oneof![
            3 => Just(Step::Fails),
            1 => (0u64..1_000_000).prop_map(Step::IsConnectedFor),
            1 => Just(Step::HasAnAlarm),
        ];
        prop::collection::vec((step, 0.0f64..=1.0, any::<bool>()), 1..200)
    }

    proptest! {
        /// Whatever happens, and however it is set.
        #[test]
        fn never_a_busy_loop_nor_longer_than_allowed(
            steps in steps(),
            least in 1u64..100_000,
            greatest in 1u64..10_000_000,
            alarm in 1u64..100_000,
            addresses in 1usize..5,
        ) {
            let millis = Duration::from_millis;
            let (least, greatest, alarm) = (millis(least), millis(greatest.max(least)), millis(alarm));
            let pace = Pace { least, greatest, stable: millis(60_000), alarm };
            let mut reconnect = Reconnect::new(pace, addresses, at(0));
            let (mut now, mut at_once) = (at(0), 0);
            for (step, random, waiting) in steps {
                if let Step::IsConnectedFor(time) = step {
                    reconnect.connected(now);
                    now += millis(time);
                }
                let wait = wait(&mut reconnect, now, waiting, random);
                let longest = if waiting { greatest.min(alarm) } else { greatest };
                prop_assert!(wait <= longest, "{wait:?} is longer than {longest:?}");
                prop_assert!(reconnect.address() < addresses);
                if matches!(step, Step::HasAnAlarm) {
                    let later = now + wait / 2;
                    let before = reconnect.due();
                    reconnect.alarm(later, random);
                    prop_assert!(reconnect.due() <= before);
                    prop_assert!(reconnect.due() <= later + alarm.max(least));
                }
                let wait = reconnect.due() - now;
                // the other addresses of a round
                at_once = if wait.is_zero() { at_once + 1 } else { 0 };
                prop_assert!(at_once < addresses);
                let floor = least.min(alarm) / FLOOR;
                prop_assert!(wait.is_zero() || wait >= floor, "{wait:?} is a busy loop");
                now = reconnect.due();
            }
        }
    }
}
