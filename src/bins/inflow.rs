//! What came into a bin, hour by hour, from a record of its levels.
//!
//! A record is read twice. [`Bin`] goes first and says when it was emptied: there a new stretch
//! begins. In each stretch nothing but a rise can have
//! happened, so its levels become a curve that never falls, and the steps of that are the inflow.

use super::{Bin, Emptying, Geometry, Input, Rules};
use crate::units::{Metres, Ratio};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Readings of the same surface differ by less than this.
const NOISE: f64 = 0.15;
/// Readings that are farther apart, in days, say nothing about what came: anything may have
/// happened.
const LONGEST_GAP_DAYS: f64 = 30.0;
/// Noise is averaged over so many hours before rises are taken from it. Each reading by itself
/// would count its noise as waste; a day would hide how much can come at once.
const TOGETHER: f64 = 8.0;
/// From here on a level says that a bin is full, but not how much came.
const RIM: f64 = 0.95;
/// Of less than this part of the hours nobody can say what came in the others.
const LEAST_KNOWN: f64 = 0.5;

/// What is known of the inflow of a bin.
#[derive(Debug, Clone, PartialEq)]
pub struct Inflow {
    /// The part of the bin that came in each hour.
    pub comes: Vec<f64>,
    /// How full it was at the beginning of each hour.
    pub level: Vec<f64>,
}

/// Of too little of the time something is known.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error(
    "what came into it is known for {known:.0} of {hours} hours, and half of them is the least"
)]
pub struct Unknown {
    /// Of so many hours something is known,
    pub known: f64,
    /// of these.
    pub hours: usize,
}

/// A stretch of time without an emptying: hours and levels.
type Stretch = Vec<(f64, f64)>;

impl Inflow {
    /// From levels in the order of their times, over so many hours from `begin` on.
    ///
    /// A rise between two levels is spread evenly over the time between them. Where nothing is
    /// known (around an emptying, at the rim, in long silence) the mean of this bin comes.
    ///
    /// # Errors
    /// When that would be most of the time.
    pub fn new(
        levels: &[(Timestamp, Ratio)],
        begin: Timestamp,
        hours: usize,
    ) -> Result<Self, Unknown> {
        let mut comes = vec![0.0; hours];
        let mut known = vec![0.0; hours];
        let stretches: Vec<Stretch> =
            stretches(&sane(levels), begin).iter().map(|stretch| rising(stretch)).collect();
        for pair in stretches.iter().flat_map(|stretch| stretch.windows(2)) {
            let [(from, low), (to, high)] = [pair[0], pair[1]];
            if low >= RIM || to <= from {
                continue;
            }
            for hour in (from.max(0.0) as usize)..(to.max(0.0).ceil() as usize).min(hours) {
                let within = to.min(hour as f64 + 1.0) - from.max(hour as f64);
                comes[hour] += (high - low) * within / (to - from);
                known[hour] += within;
            }
        }
        let sum: f64 = known.iter().sum();
        if hours == 0 || sum < hours as f64 * LEAST_KNOWN {
            return Err(Unknown { known: sum, hours });
        }
        let mean = comes.iter().sum::<f64>() / sum;
        for (comes, known) in comes.iter_mut().zip(&known) {
            *comes += mean * (1.0 - known).max(0.0);
        }
        Ok(Self { comes, level: path(&stretches, hours) })
    }
}

/// Without what differs from the middle one of itself and its neighbours: a single wrong echo, high
/// or low.
fn sane(levels: &[(Timestamp, Ratio)]) -> Vec<(Timestamp, Ratio)> {
    let middle = |a: f64, b: f64, c: f64| a.max(b).min(a.min(b).max(c));
    let wrong =
        |before: f64, fill: f64, after: f64| (fill - middle(before, fill, after)).abs() > NOISE;
    let last = levels.len().saturating_sub(1);
    let levels = levels.iter().enumerate().filter(|(number, (_, fill))| {
        let inner = *number > 0 && *number < last;
        !inner || !wrong(levels[number - 1].1.0, fill.0, levels[number + 1].1.0)
    });
    levels.map(|(_, level)| *level).collect()
}

/// What lies between emptyings, and falls that are no noise.
fn stretches(levels: &[(Timestamp, Ratio)], begin: Timestamp) -> Vec<Stretch> {
    let hour = |time: Timestamp| time.duration_since(begin).as_secs_f64() / 3600.0;
    let emptied = emptied(levels);
    let mut stretches: Vec<Stretch> = Vec::new();
    let mut last: Option<(Timestamp, f64)> = None;
    for (time, fill) in levels {
        let goes_on = last.is_some_and(|(before, level)| {
            let from = emptied.partition_point(|at| *at <= before);
            let gap = time.duration_since(before).as_secs_f64() / 86_400.0;
            emptied.get(from).is_none_or(|at| at > time)
                && fill.0 - level >= -NOISE
                && gap <= LONGEST_GAP_DAYS
        });
        let point = (hour(*time), fill.0);
        match stretches.last_mut() {
            Some(stretch) if goes_on => stretch.push(point),
            _ => stretches.push(vec![point]),
        }
        last = Some((*time, fill.0));
    }
    stretches
}

/// When the bin was emptied, each time as the first reading after it.
fn emptied(levels: &[(Timestamp, Ratio)]) -> Vec<Timestamp> {
    let rules = Rules::new(Geometry::straight(Metres(1.0), Metres(0.0)), TimeZone::UTC);
    let mut bin = Bin::new(&rules);
    let mut offer = |(time, fill): &(Timestamp, Ratio)| {
        let mut input = Input::new(*time, true);
        input.told = Some(*fill);
        bin.offer(&rules, &input).emptied
    };
    let all = levels.iter().filter_map(&mut offer);
    all.filter(Emptying::counts).map(|emptying| emptying.at).collect()
}

/// The curve that never falls and is nearest to the levels of a stretch, in the sense of least
/// squares: neighbours that fall are pooled (Ayer, Brunk, Ewing, Reid, Silverman, 1955).
fn rising(stretch: &[(f64, f64)]) -> Stretch {
    struct Pool {
        times: Vec<f64>,
        sum: f64,
        weight: f64,
    }
    let mut pools: Vec<Pool> = Vec::new();
    for together in stretch.chunk_by(|a, b| (a.0 / TOGETHER).floor() == (b.0 / TOGETHER).floor()) {
        let weight = together.len() as f64;
        let time = together.iter().map(|(time, _)| time).sum::<f64>() / weight;
        let sum = together.iter().map(|(_, level)| level).sum();
        let mut pool = Pool { times: vec![time], sum, weight };
        while let Some(before) = pools.pop_if(|p| p.sum / p.weight >= pool.sum / pool.weight) {
            pool.sum += before.sum;
            pool.weight += before.weight;
            pool.times.splice(0..0, before.times);
        }
        pools.push(pool);
    }
    let curve = pools.iter().flat_map(|pool| {
        let level = pool.sum / pool.weight;
        pool.times.iter().map(move |time| (*time, level))
    });
    curve.collect()
}

/// The level at the beginning of each hour.
fn path(stretches: &[Stretch], hours: usize) -> Vec<f64> {
    let mut points = stretches
        .iter()
        .enumerate()
        .flat_map(|(number, stretch)| {
            stretch.iter().map(move |(time, level)| (number, *time, *level))
        })
        .peekable();
    let mut last: Option<(usize, f64, f64)> = None;
    let level = |hour: usize| {
        let hour = hour as f64;
        while let Some(point) = points.next_if(|(_, time, _)| *time <= hour) {
            last = Some(point);
        }
        match (last, points.peek()) {
            (Some((stretch, from, low)), Some((same, to, high))) if stretch == *same => {
                low + (high - low) * (hour - from) / (to - from)
            }
            (Some((_, _, level)), _) | (None, Some(&(_, _, level))) => level,
            (None, None) => 0.0,
        }
    };
    (0..hours).map(level).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DAYS: usize = 30;
    const HOURS: usize = DAYS * 24;

    fn at(hour: f64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + (hour * 3600.0) as i64).expect("in range")
    }

    fn inflow(levels: &[(f64, f64)]) -> Result<Inflow, Unknown> {
        let levels: Vec<_> = levels.iter().map(|(hour, fill)| (at(*hour), Ratio(*fill))).collect();
        Inflow::new(&levels, at(0.0), HOURS)
    }

    /// A bin that fills by a tenth a day and is emptied when it is at 80 %.
    fn saw(hour: usize) -> f64 {
        (hour as f64 / 240.0) % 0.8
    }

    fn total(levels: &[(f64, f64)]) -> f64 {
        inflow(levels).expect("known").comes.iter().sum()
    }

    #[test]
    fn the_inflow_is_what_rises_between_emptyings() {
        let levels: Vec<_> = (0..=HOURS).map(|hour| (hour as f64, saw(hour))).collect();
        assert!((total(&levels) - 3.0).abs() < 0.03, "{}", total(&levels));
        let inflow = inflow(&levels).expect("known");
        assert!((inflow.level[100] - saw(100)).abs() < 0.04);
        assert!(inflow.comes.iter().all(|share| (share * 240.0 - 1.0).abs() < 0.3));
    }

    #[test]
    fn noise_and_wrong_echoes_are_no_inflow() {
        let levels: Vec<_> = (0..=HOURS)
            .step_by(2)
            .map(|hour| {
                // with a mean of 0, and not in step with the eight hours
                let noise = [0.03, -0.02, 0.01, -0.04, 0.02][hour / 2 % 5];
                match hour {
                    200 => (200.0, 1.0),
                    340 => (340.0, 0.0),
                    _ => (hour as f64, (saw(hour) + noise).clamp(0.0, 1.0)),
                }
            })
            .collect();
        assert!((total(&levels) - 3.0).abs() < 0.2, "{}", total(&levels));
    }

    #[test]
    fn a_gap_spreads_the_rise() {
        let levels = [(0.0, 0.1), (1.0, 0.1), (400.0, 0.6), (719.0, 0.6)];
        let inflow = inflow(&levels).expect("known");
        assert!((inflow.comes[100] - 0.5 / 399.5).abs() < 1e-4, "{}", inflow.comes[100]);
        assert!(inflow.comes[500] < 1e-9);
    }

    #[test]
    fn a_full_bin_hides_what_comes() {
        // full from the tenth day to the fifteenth, then emptied; it fills on
        let levels: Vec<_> =
            (0..=HOURS).map(|hour| (hour as f64, ((hour % 360) as f64 / 240.0).min(1.0))).collect();
        assert!((total(&levels) - 3.0).abs() < 0.15, "{}", total(&levels));
    }

    #[test]
    fn silence_is_not_filled_with_guesses() {
        let levels: Vec<_> = (0..200).map(|hour| (f64::from(hour), saw(hour as usize))).collect();
        let unknown = inflow(&levels).expect_err("most is unknown");
        // up to the emptying, from middle to middle of eight hours
        assert_eq!((unknown.hours, unknown.known), (HOURS, 184.0));
        assert_eq!(inflow(&[]).expect_err("nothing").known, 0.0);
    }

    proptest! {
        #[test]
        fn nothing_comes_out_of_a_bin(
            levels in prop::collection::vec((0.0f64..60.0, 0.0f64..=1.0), 0..80),
        ) {
            let mut time = -50.0;
            let levels: Vec<_> = levels.into_iter().map(|(later, fill)| {
                time += later;
                (time, fill)
            }).collect();
            if let Ok(inflow) = inflow(&levels) {
                prop_assert_eq!((inflow.comes.len(), inflow.level.len()), (HOURS, HOURS));
                prop_assert!(inflow.comes.iter().all(|share| (0.0..=1.0).contains(share)));
                prop_assert!(inflow.level.iter().all(|level| (-1e-9..=1.0 + 1e-9).contains(level)));
            }
        }
    }
}
