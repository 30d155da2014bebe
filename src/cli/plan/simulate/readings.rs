//! Recorded distances, from CSV.

use crate::cli::columns::{Fault, broken, columns, line, without_mark};
use crate::units::Metres;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// What the sensors of some bins said.
#[derive(Debug, Default)]
pub(super) struct Readings {
    /// For each bin the distances, in the order of time.
    pub(super) bins: BTreeMap<String, Vec<(Timestamp, Metres)>>,
    /// When the first and the last were.
    pub(super) span: Option<(Timestamp, Timestamp)>,
}

/// Reads the columns `bin`, `t_unix` and `dist_cm`, in any order; others are passed over. Lines
/// may come in any order. One without a distance says nothing.
pub(super) fn read(bytes: &[u8]) -> Result<Readings, Fault> {
    let bytes = without_mark(bytes);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
    let headers = reader.headers().map_err(|error| broken(bytes, &error))?.clone();
    let [bin, time, distance] = columns(&headers, ["bin", "t_unix", "dist_cm"])?;
    let mut readings = Readings::default();
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(|error| broken(bytes, &error))? {
        let at = record.position().map_or(0, csv::Position::byte);
        let fault = |what: String| Fault { line: line(bytes, at), what };
        let name = &record[bin];
        if name.is_empty() {
            return Err(fault("column bin: it is empty".to_owned()));
        }
        let text = &record[time];
        let seconds = text.parse::<f64>().ok().filter(|seconds| seconds.is_finite());
        let time = seconds.and_then(|seconds| Timestamp::from_second(seconds as i64).ok());
        let what = || format!("column t_unix: {text:?} are no seconds since 1970");
        let time = time.ok_or_else(|| fault(what()))?;
        if !readings.bins.contains_key(name) {
            readings.bins.insert(name.to_owned(), Vec::new());
        }
        let text = &record[distance];
        if text.is_empty() {
            continue;
        }
        let centimetres = text.parse::<f64>().ok().filter(|cm| cm.is_finite() && *cm >= 0.0);
        let what = || format!("column dist_cm: {text:?} is no number from 0 on");
        let centimetres = centimetres.ok_or_else(|| fault(what()))?;
        if let Some(heard) = readings.bins.get_mut(name) {
            heard.push((time, Metres(centimetres / 100.0)));
        }
        let (first, last) = readings.span.unwrap_or((time, time));
        readings.span = Some((first.min(time), last.max(time)));
    }
    for heard in readings.bins.values_mut() {
        heard.sort_by_key(|(time, _)| *time);
        heard.dedup_by_key(|(time, _)| *time);
    }
    Ok(readings)
}
