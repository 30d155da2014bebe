//! Bins of a town of our own, and what their sensors make of them: the truth is known.

use fastrand::Rng;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use lykta::bins::{Bin, Echo, Geometry, Input, Outcome, Rules};
use lykta::units::{Celsius, Degrees, Metres, Ratio, Volts};

pub(crate) const HOUR: i64 = 3600;
pub(crate) const DAY: i64 = 24 * HOUR;
/// A Monday, at midnight UTC.
pub(crate) const BEGIN: i64 = 1_704_067_200;

/// What a bin and its sensor are like.
#[derive(Debug, Clone)]
pub(crate) struct Make {
    pub(crate) depth: f64,
    /// The part that comes on a weekday, from Monday on.
    pub(crate) comes: [f64; 7],
    /// Days on which as much comes as on a Sunday.
    pub(crate) holidays: &'static [i64],
    /// The level from which on it is emptied on the next morning of a tour.
    pub(crate) emptied_from: f64,
    /// Weekdays on which there are tours.
    pub(crate) tours: &'static [usize],
    /// The part of the frames that is lost, and of the readings that are wild.
    pub(crate) loss: f64,
    pub(crate) wild: f64,
    /// The part of the readings that come from a fixed part so many metres away, while it is
    /// above the surface, in these days.
    pub(crate) shelf: Option<(f64, f64, std::ops::Range<i64>)>,
}

impl Default for Make {
    fn default() -> Self {
        Self {
            depth: 1.3,
            comes: [0.12, 0.1, 0.1, 0.1, 0.12, 0.2, 0.03],
            holidays: &[],
            emptied_from: 0.6,
            tours: &[0, 2, 4],
            loss: 0.17,
            wild: 0.01,
            shelf: None,
        }
    }
}

/// What happened, and what the sensor said of it.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// When, what was said, and how full it truly was.
    pub(crate) heard: Vec<(Input, f64)>,
    /// When it was emptied, and how full it was then.
    pub(crate) emptied: Vec<(i64, f64)>,
}

impl Make {
    pub(crate) fn rules(&self) -> Rules {
        let geometry = Geometry::straight(Metres(self.depth), Metres(0.05));
        let zone = TimeZone::get("Europe/Stockholm").unwrap();
        let interval = None;
        Rules { must: Ratio(0.8), interval, ..Rules::new(geometry, zone) }
    }

    /// So many days of it.
    pub(crate) fn history(&self, days: i64, seed: u64) -> History {
        let mut random = Rng::with_seed(seed);
        let mut history = History::default();
        let height = self.depth - 0.05;
        let mut level = random.f64() * 0.4;
        let crew = 8 + random.i64(0..4);
        for hour in 0..days * 24 {
            let (day, of_day) = (hour / 24, hour % 24);
            let weekday = (day % 7) as usize;
            // bags of glass: few, of a size each, and none at night
            if (7..21).contains(&of_day) {
                let like = if self.holidays.contains(&day) { 6 } else { weekday };
                let mean = self.comes[like] / 14.0;
                for _ in 0..4 {
                    if random.f64() < 0.3 {
                        level += mean / 1.2 * -(1.0 - random.f64()).ln();
                    }
                }
                level = level.min(1.0);
            }
            if of_day == crew && self.tours.contains(&weekday) && level >= self.emptied_from {
                history.emptied.push((BEGIN + hour * HOUR, level));
                level = 0.0;
            }
            let sun = (of_day as f64 - 14.0) / 24.0 * std::f64::consts::TAU;
            let season = (day as f64 / 365.0 * std::f64::consts::TAU).cos();
            let degrees = 8.0 - 14.0 * season + 9.0 * sun.cos() + random.f64() * 3.0;
            if random.f64() < self.loss {
                continue;
            }
            let surface = self.depth - level * height;
            let noise = (random.f64() + random.f64() - 1.0) * 0.03;
            let mut distance = surface + noise;
            if random.f64() < self.wild {
                distance = random.f64() * self.depth;
            }
            if let Some((at, part, days)) = &self.shelf
                && days.contains(&day)
                && surface > *at
                && random.f64() < *part
            {
                distance = at + random.f64() * 0.02;
            }
            // in steps of 2 cm, as the sensor sends it
            let metres = (distance.clamp(0.0, 2.5) * 50.0).round() / 50.0;
            let at = Timestamp::from_second(BEGIN + hour * HOUR + 11 * 60).unwrap();
            let mut input = Input::new(at, true);
            input.echo = Echo::Distance(Metres(metres));
            input.temperature = Some(Celsius(degrees.round()));
            input.battery = Some(Volts(3.6));
            input.tilt = Some(Degrees(2.0));
            history.heard.push((input, level));
        }
        history
    }
}

/// What all of that meant.
pub(crate) fn outcomes(rules: &Rules, history: &History) -> Vec<Outcome> {
    let mut bin = Bin::new(rules);
    history.heard.iter().map(|(input, _)| bin.offer(rules, input)).collect()
}
