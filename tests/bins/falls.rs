//! Bins that fall over, and sensors that are torn off: what a full one holds is not gone.

use super::world::{BEGIN, HOUR, Make};
use jiff::Timestamp;
use lykta::bins::{Due, Echo, Input, News, Posture, Tended};
use lykta::units::{Degrees, Metres};

/// What was told, by the hour, of a full bin of which the angle and the distance are these.
fn told(hours: i64, look: impl Fn(i64, &mut Input)) -> (Tended, Vec<(i64, News)>) {
    let rules = Make::default().rules();
    let mut bin = Tended::new(&rules);
    let mut told = Vec::new();
    for hour in 0..hours {
        let at = Timestamp::from_second(BEGIN + (hour + 10) * HOUR).unwrap();
        let mut input = Input::new(at, true);
        input.echo = Echo::Distance(Metres(0.2));
        input.tilt = Some(Degrees(2.0));
        look(hour, &mut input);
        told.extend(bin.offer(&rules, &input).1.into_iter().map(|news| (hour, news)));
        let passed = bin.pass(&rules, at, Timestamp::MIN);
        told.extend(passed.into_iter().map(|news| (hour, news)));
    }
    (bin, told)
}

fn over(news: &(i64, News)) -> bool {
    matches!(news.1, News::Emptied(_) | News::PickupMade | News::Due(Due::No | Due::May))
}

#[test]
fn a_full_bin_that_fell_over_stays_full_until_somebody_was_there() {
    // the fall is told before, with, or after what was in it is gone
    for (falls, spills) in [(87, 90), (89, 90), (90, 90), (90, 91)] {
        let look = |hour: i64, input: &mut Input| {
            input.tilt = Some(Degrees(if hour < falls { 2.0 } else { -89.0 }));
            if hour >= spills {
                input.echo = Echo::Distance(Metres(1.28));
            }
        };
        let (bin, news) = told(120, look);
        assert!(news.contains(&(falls + 1, News::Posture(Posture::Dropped))), "{news:?}");
        let wrong: Vec<_> = news.iter().filter(|news| news.0 >= falls && over(news)).collect();
        assert!(wrong.is_empty(), "{falls}, {spills}: {wrong:?}");
        assert_eq!(bin.bin.due(), Due::Must);
        assert!(bin.bin.view(&Make::default().rules()).unwrap().fill.0 > 0.8);
    }
}

#[test]
fn a_sensor_that_is_torn_off_sees_no_empty_bin() {
    let look = |hour: i64, input: &mut Input| {
        input.tamper = Some(hour >= 90);
        if hour >= 90 {
            input.echo = Echo::Distance(Metres(1.28));
        }
    };
    let (bin, news) = told(120, look);
    assert!(news.contains(&(90, News::Posture(Posture::Vandalized))), "{news:?}");
    assert!(!news.iter().any(|news| news.0 >= 90 && over(news)), "{news:?}");
    assert_eq!(bin.bin.due(), Due::Must);
}

#[test]
fn one_that_falls_soon_after_it_was_emptied_does_not_stand_so() {
    let look = |hour: i64, input: &mut Input| {
        input.echo = Echo::Distance(Metres(if hour < 50 { 0.4 } else { 1.28 }));
        input.tilt = Some(Degrees(if (60..300).contains(&hour) { 90.0 } else { 2.0 }));
    };
    let (_, news) = told(400, look);
    let postures: Vec<_> =
        news.iter().filter(|(_, news)| matches!(news, News::Posture(_))).collect();
    let (fell, up) = ((61, News::Posture(Posture::Dropped)), (301, News::Posture(Posture::Ok)));
    assert!(postures.len() == 2 && *postures[0] == fell, "{postures:?}");
    assert!(postures[1].1 == up.1 && postures[1].0 <= up.0, "{postures:?}");
}
