//! Sensors that are not heard, and gateways that are not always on.

use super::world::{BEGIN, DAY, HOUR, Make};
use jiff::Timestamp;
use lykta::bins::{Echo, Input, News, Tended};
use lykta::units::Metres;

fn at(hour: i64) -> Timestamp {
    Timestamp::from_second(BEGIN + hour * HOUR).unwrap()
}

#[test]
fn a_dead_sensor_is_told_also_where_the_gateway_restarts_each_night() {
    for loss in [0.02, 0.17, 0.5] {
        let make = Make { loss, ..Make::default() };
        let rules = make.rules();
        let mut bin = Tended::new(&rules);
        for (input, _) in &make.history(60, 5).heard {
            bin.offer(&rules, input);
        }
        let told: Vec<_> = (60 * 24..80 * 24)
            .flat_map(|hour| bin.pass(&rules, at(hour), at(hour - hour % 24)))
            .filter(|news| matches!(news, News::SensorLost(_)))
            .collect();
        assert_eq!(told.len(), 1, "{loss}");
    }
}

#[test]
fn after_weeks_without_the_gateway_no_sensor_is_lost_that_speaks() {
    let mut random = fastrand::Rng::with_seed(3);
    for (every, loss) in [(1, 0.17), (1, 0.5), (6, 0.17), (24, 0.1)] {
        let make = Make { loss, ..Make::default() };
        let rules = make.rules();
        let mut bin = Tended::new(&rules);
        let history = make.history(60, 5);
        for (input, _) in history.heard.iter().step_by(every) {
            bin.offer(&rules, input);
        }
        // off for a month, and then for an hour or more each day
        for hour in 90 * 24..130 * 24 {
            let on = at(hour - hour % 24 + 1);
            if hour % 24 == 0 {
                continue;
            }
            if hour % every as i64 == 1 % every as i64 && random.f64() >= loss {
                let mut input = Input::new(at(hour), true);
                input.echo = Echo::Distance(Metres(0.7));
                bin.offer(&rules, &input);
            }
            let lost = bin.pass(&rules, at(hour), on);
            let lost = lost.iter().any(|news| matches!(news, News::SensorLost(_)));
            assert!(!lost, "every {every} h, {loss} lost: hour {hour}");
        }
    }
}

#[test]
fn a_sensor_that_sleeps_at_night_learns_and_is_found_frozen() {
    let make = Make { loss: 0.0, ..Make::default() };
    let rules = make.rules();
    for (from, until) in [(0, 24), (6, 21), (6, 20), (7, 19)] {
        let mut bin = Tended::new(&rules);
        let by_day = |second: i64| (from..until).contains(&(second / HOUR % 24));
        for (input, _) in &make.history(60, 5).heard {
            if by_day(input.at.as_second() - BEGIN) {
                bin.offer(&rules, input);
            }
        }
        let rate = bin.bin.known_rate(&rules).unwrap_or_default();
        assert!((0.08..0.16).contains(&rate), "{from} to {until}: {rate}");
        let found = (60 * 24..80 * 24).find(|hour| {
            let mut input = Input::new(at(*hour), true);
            input.echo = Echo::Distance(Metres(0.7));
            by_day(hour * HOUR) && bin.offer(&rules, &input).1.contains(&News::EchoFixed)
        });
        let found = found.map(|hour| hour * HOUR / DAY - 60);
        assert!(found.is_some_and(|day| day <= 16), "{from} to {until}: {found:?}");
    }
}
