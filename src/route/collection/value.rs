//! What it is worth to empty a bin today.

use super::{Bin, Horizon, Outlook, Rules};
use crate::route::matrix::{Matrix, NO_WAY};
use crate::route::problem::{LARGEST_PRIZE, Vehicle};

/// The level at which bins are usually emptied when all goes well. What a visit costs is
/// amortised over so much of the volume.
const USUAL_LEVEL: f64 = 0.8;
/// What a stop adds to a tour, in distances to the nearest other stop: 0.7124 √(n A) is the length
/// of a tour of n stops in an area A (Beardwood, Halton, Hammersley, 1959), and 0.5 √(A / n) the
/// mean distance to the nearest other.
const WAY: f64 = 1.42;

/// What it is worth to empty a bin today, in the unit of costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Value {
    /// The probability that it overflows before the next chance, if it is left out.
    pub probability: f64,
    /// What that is expected to cost: the overflow itself, and its hours.
    pub risk: f64,
    /// What is saved of a later visit: the fuller it is today, the longer it lasts until then.
    pub saved: f64,
    /// What the work at the bin costs.
    pub work: f64,
}

impl Value {
    pub(super) fn new(
        bin: &Bin,
        outlook: Option<&Outlook>,
        when: Horizon,
        rules: &Rules,
        visit: f64,
    ) -> Self {
        let work = f64::from(bin.service) * rules.working_second;
        let Some(outlook) = outlook else {
            return Self { probability: 0.0, risk: 0.0, saved: 0.0, work };
        };
        let probability = outlook.overflow(when.next);
        let hours = outlook.overflow_days(when.next) * 24.0;
        Self {
            probability,
            risk: rules.overflow * probability + rules.overflow_hour * hours,
            saved: rules.foresight * (visit + work) * (outlook.level / USUAL_LEVEL).clamp(0.0, 1.0),
            work,
        }
    }

    /// What the solver may spend on the way.
    #[must_use]
    pub fn prize(&self) -> u32 {
        (self.risk + self.saved - self.work).clamp(0.0, f64::from(LARGEST_PRIZE)).round() as u32
    }
}

/// What the way to each bin usually costs: to the nearest of those that are visited with it, when
/// each is visited as often as it fills.
pub(super) fn visits(
    bins: &[Bin],
    outlooks: &[Option<Outlook>],
    when: Horizon,
    rules: &Rules,
    matrix: &Matrix,
    vehicles: &[Vehicle],
) -> Vec<f64> {
    let Some(rates) = vehicles.iter().map(|vehicle| vehicle.rates).max_by_key(|r| r.distance)
    else {
        return vec![0.0; bins.len()];
    };
    let often = |outlook: &Option<Outlook>| match outlook {
        Some(outlook) => (outlook.rate * when.next / USUAL_LEVEL).min(1.0),
        None => (when.next / rules.unknown_every.max(1e-6)).min(1.0),
    };
    let often: Vec<f64> = outlooks.iter().map(often).collect();
    let cost = |from: usize, to: usize| {
        let (metres, seconds) = (matrix.distance(from, to), matrix.time(from, to));
        (metres < NO_WAY && seconds < NO_WAY).then(|| {
            f64::from(metres) * f64::from(rates.distance)
                + f64::from(seconds) * f64::from(rates.time)
        })
    };
    bins.iter()
        .enumerate()
        .map(|(number, bin)| {
            let others = bins.iter().enumerate().filter(|(other, _)| *other != number);
            let mut ways: Vec<(f64, f64)> = others
                .filter_map(|(other, there)| Some((cost(there.place, bin.place)?, often[other])))
                .collect();
            ways.sort_by(|a, b| a.0.total_cmp(&b.0));
            let mut nobody = 1.0;
            let mut mean = 0.0;
            for (way, often) in ways {
                mean += nobody * often * way;
                nobody *= 1.0 - often;
            }
            let depot = vehicles.iter().filter_map(|vehicle| cost(vehicle.start, bin.place));
            mean += nobody * depot.reduce(f64::min).unwrap_or(0.0);
            WAY * mean
        })
        .collect()
}
