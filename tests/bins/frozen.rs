//! Sensors that say the same for ever.

use super::world::{BEGIN, DAY, HOUR, Make};
use jiff::Timestamp;
use lykta::bins::{EchoFrom, Input, News, Tended, Trust};
use lykta::units::Metres;

/// What was told of a bin whose sensor said the same from the sixtieth day on, by the day: for so
/// many days.
struct Frozen {
    make: Make,
    bin: Tended,
    told: Vec<(i64, News)>,
    /// Readings whose level was accepted after it was found.
    accepted: usize,
}

const FROM: i64 = 60;

impl Frozen {
    fn new(fill: f64, days: i64) -> Self {
        let make = Make::default();
        let rules = make.rules();
        let mut frozen = Self { bin: Tended::new(&rules), make, told: Vec::new(), accepted: 0 };
        let before = frozen.make.history(FROM, 5);
        for (input, _) in &before.heard {
            frozen.hear(input);
        }
        frozen.told.clear();
        frozen.say(FROM..FROM + days, |_| fill);
        frozen
    }

    /// In each hour of these days it says this level.
    fn say(&mut self, days: std::ops::Range<i64>, fill: impl Fn(i64) -> f64) {
        for hour in days.start * 24..days.end * 24 {
            let at = Timestamp::from_second(BEGIN + hour * HOUR).unwrap();
            let mut input = Input::new(at, true);
            let metres = self.make.depth - fill(hour) * (self.make.depth - 0.05);
            input.echo = lykta::bins::Echo::Distance(Metres((metres * 50.0).round() / 50.0));
            self.hear(&input);
        }
    }

    fn hear(&mut self, input: &Input) {
        let rules = self.make.rules();
        let found = self.bin.bin.is_degraded();
        let day = (input.at.as_second() - BEGIN) / DAY;
        let (outcome, news) = self.bin.offer(&rules, input);
        self.accepted += usize::from(found && outcome.trust == Trust::Accepted);
        self.told.extend(news.into_iter().map(|news| (day, news)));
        let news = self.bin.pass(&rules, input.at, Timestamp::MIN);
        self.told.extend(news.into_iter().map(|news| (day, news)));
    }

    fn days(&self, is: impl Fn(&News) -> bool) -> Vec<i64> {
        self.told.iter().filter(|(_, news)| is(news)).map(|(day, _)| *day).collect()
    }
}

#[test]
fn a_frozen_sensor_is_found_once_and_never_believed_again() {
    for fill in [0.5, 0.2, 0.7] {
        let frozen = Frozen::new(fill, 300);
        let found = frozen.days(|news| *news == News::EchoFixed);
        assert_eq!(found.len(), 1, "{fill}: {:?}", frozen.told);
        assert!((FROM + 13..FROM + 18).contains(&found[0]), "{fill}: on day {}", found[0]);
        let over = |news: &News| matches!(news, News::EchoFree | News::PickupMade);
        assert_eq!(frozen.days(over), [0; 0], "{fill}: nobody was there: {:?}", frozen.told);
        assert_eq!(frozen.accepted, 0, "{fill}");
        assert!(frozen.bin.bin.is_degraded());
    }
}

#[test]
fn it_is_driven_to_by_what_is_expected_and_what_was_learned_stays() {
    let frozen = Frozen::new(0.5, 300);
    let missed = frozen.days(|news| matches!(news, News::PickupMissed(_)));
    assert_eq!(missed.len(), 1, "{:?}", frozen.told);
    assert!(missed[0] < FROM + 20, "{missed:?}");
    let daily = frozen.bin.bin.daily(&frozen.make.rules()).0;
    assert!((0.08..0.15).contains(&daily), "{daily}");
}

#[test]
fn one_that_is_frozen_at_the_floor_is_found_too() {
    for fill in [0.0, 0.05, 0.12] {
        let frozen = Frozen::new(fill, 60);
        let found = frozen.days(|news| *news == News::EchoFixed);
        assert_eq!(found.len(), 1, "{fill}: {:?}", frozen.told);
        assert!(found[0] < FROM + 21, "{fill}: on day {}", found[0]);
        assert_eq!(frozen.days(|news| matches!(news, News::PickupMissed(_))).len(), 1);
    }
}

#[test]
fn one_that_moves_again_is_believed_again_and_its_emptying_is_seen() {
    let mut frozen = Frozen::new(0.5, 40);
    frozen.told.clear();
    frozen.say(
        FROM + 40..FROM + 42,
        |hour| if hour % 24 < 9 && hour < 24 * 101 { 0.5 } else { 0.02 },
    );
    assert_eq!(frozen.days(|news| *news == News::EchoFree), [FROM + 40], "{:?}", frozen.told);
    let emptied = frozen.days(|news| matches!(news, News::Emptied(_)));
    assert_eq!(emptied, [FROM + 40], "{:?}", frozen.told);
    let now = Timestamp::from_second(BEGIN + (FROM + 42) * DAY).unwrap();
    let fill = frozen.bin.bin.fill(&frozen.make.rules(), now).unwrap().0;
    assert!(fill < 0.1, "{fill}");
}

#[test]
fn one_that_was_frozen_from_the_first_day_is_found_and_one_that_fills_slowly_is_not() {
    for (fill, latest) in [(0.5, 17), (0.0, 30)] {
        let make = Make::default();
        let bin = Tended::new(&make.rules());
        let mut frozen = Frozen { bin, make, told: Vec::new(), accepted: 0 };
        frozen.say(0..60, |hour| fill + (hour % 3) as f64 * 0.005);
        let found = frozen.days(|news| *news == News::EchoFixed);
        assert!(found.len() == 1 && found[0] <= latest, "{fill}: {:?}", frozen.told);
        let missed = frozen.days(|news| matches!(news, News::PickupMissed(_)));
        assert_eq!(missed.len(), 1, "it is driven to: {:?}", frozen.told);
    }
    for days in [40.0, 60.0, 90.0] {
        let make = Make::default();
        let bin = Tended::new(&make.rules());
        let mut slow = Frozen { bin, make, told: Vec::new(), accepted: 0 };
        slow.say(0..40, |hour| hour as f64 / 24.0 / days);
        assert_eq!(slow.days(|news| *news == News::EchoFixed), [0; 0], "in {days} days");
    }
}

#[test]
fn one_that_froze_after_slow_days_is_found() {
    for (days, each) in [(5, 0.01), (7, 0.01), (10, 0.01), (14, 0.005)] {
        let make = Make::default();
        let bin = Tended::new(&make.rules());
        let mut frozen = Frozen { bin, make, told: Vec::new(), accepted: 0 };
        let before = frozen.make.history(FROM, 5);
        for (input, _) in &before.heard {
            frozen.hear(input);
        }
        frozen.told.clear();
        frozen.say(FROM..FROM + days + 40, |hour| {
            0.35 + each / 1.25 * (hour / 24 - FROM).min(days) as f64
        });
        let found = frozen.days(|news| *news == News::EchoFixed);
        assert!(found.len() == 1 && found[0] <= FROM + days + 16, "{days} days: {found:?}");
    }
}

#[test]
fn two_wild_readings_do_not_thaw_it() {
    let mut frozen = Frozen::new(0.5, 40);
    frozen.told.clear();
    let wild = |hour: i64| if hour % 50 < 2 { 0.9 } else { 0.5 };
    frozen.say(FROM + 40..FROM + 60, wild);
    assert_eq!(frozen.days(|news| *news == News::EchoFree), [0; 0]);
    assert!(frozen.bin.bin.is_degraded());
}

#[test]
fn a_bin_that_nothing_comes_into_for_a_week_is_not_frozen() {
    // closed for a week, each time after it was emptied or not
    for seed in 0..6 {
        let make = Make::default();
        let rules = make.rules();
        let mut history = make.history(120, seed);
        let level = |at: i64, heard: &[(Input, f64)]| {
            heard.iter().rev().find(|(input, _)| input.at.as_second() < at).map(|(i, _)| i.echo)
        };
        let (from, until) = (BEGIN + 80 * DAY, BEGIN + 87 * DAY);
        let echo = level(from, &history.heard).unwrap();
        for (input, _) in &mut history.heard {
            if (from..until).contains(&input.at.as_second()) {
                input.echo = echo;
            }
        }
        let told = super::world::outcomes(&rules, &history);
        assert!(told.iter().all(|outcome| outcome.echo != EchoFrom::Fixed), "seed {seed}");
    }
}
