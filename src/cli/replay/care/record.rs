//! A record of events, from CSV.

use crate::care::{At, Resident, SensorKind};
use crate::cli::columns::{Fault, broken, columns, line, without_mark};
use std::collections::{BTreeSet, HashMap};

/// A longer record is none, but a clock that was wrong.
const MOST_DAYS: i64 = 3_650;
/// The end of the year 2149: further ahead nobody has a time zone.
const LAST: f64 = 5_680_000_000.0;

/// A sensor said something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) at: At,
    /// Whose sensor it is, by number,
    pub(super) resident: usize,
    /// and which of theirs.
    pub(super) sensor: usize,
    pub(super) on: bool,
}

/// A record that makes sense.
pub(super) struct Record {
    /// In the order of time.
    pub(super) events: Vec<Event>,
    /// Sensors in the record that are in no home.
    pub(super) unknown: BTreeSet<String>,
    /// Sensors in a home that are not in the record.
    pub(super) unheard: BTreeSet<String>,
}

/// Reads the columns `t_unix`, `sensor` and `state`.
pub(super) fn read(bytes: &[u8], residents: &[Resident]) -> Result<Record, Fault> {
    let bytes = without_mark(bytes);
    let mut known = HashMap::new();
    for (of, resident) in residents.iter().enumerate() {
        for (number, sensor) in resident.sensors.iter().enumerate() {
            known.insert(sensor.id.as_str(), (of, number));
        }
    }
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
    let headers = reader.headers().map_err(|error| broken(bytes, &error))?.clone();
    let [time, sensor, state] = columns(&headers, ["t_unix", "sensor", "state"])?;
    let mut events = Vec::new();
    let mut unknown = BTreeSet::new();
    let mut row = csv::StringRecord::new();
    while reader.read_record(&mut row).map_err(|error| broken(bytes, &error))? {
        let at = row.position().map_or(0, csv::Position::byte);
        let fault = |what: String| Fault { line: line(bytes, at), what };
        let text = &row[time];
        let seconds = text.parse::<f64>().ok().filter(|seconds| (0.0..=LAST).contains(seconds));
        let what = || format!("column t_unix: {text:?} are no seconds since 1970");
        let seconds = seconds.ok_or_else(|| fault(what()))?;
        let on = match &row[state] {
            "1" => true,
            "0" => false,
            text => return Err(fault(format!("column state: {text:?} is neither 1 nor 0"))),
        };
        let name = &row[sensor];
        if name.is_empty() {
            return Err(fault("column sensor: it is empty".to_owned()));
        }
        match known.get(name) {
            Some((resident, sensor)) => {
                let event =
                    Event { at: At(seconds as i64), resident: *resident, sensor: *sensor, on };
                events.push((seconds, event));
            }
            None if !unknown.contains(name) => {
                unknown.insert(name.to_owned());
            }
            None => {}
        }
    }
    events.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut events: Vec<Event> = events.into_iter().map(|(_, event)| event).collect();
    if let (Some(first), Some(last)) = (events.first(), events.last())
        && (last.at.0 - first.at.0) / 86_400 > MOST_DAYS
    {
        let what = format!("there are more than {MOST_DAYS} days: was a clock wrong?");
        return Err(Fault { line: 1, what });
    }
    let heard: BTreeSet<_> = events.iter().map(|event| (event.resident, event.sensor)).collect();
    let unheard = known.iter().filter(|(_, number)| !heard.contains(*number));
    let unheard = unheard.map(|(name, _)| (*name).to_owned()).collect();
    let is_bed =
        |event: &Event| residents[event.resident].sensors[event.sensor].kind == SensorKind::Bed;
    untangle(&mut events, is_bed);
    Ok(Record { events, unknown, unheard })
}

/// What a sensor said within one second comes in the order in which it can have happened: where
/// one interval ends in the second in which the next begins, the sensor goes off and on again.
/// Beds come first: who leaves one is seen elsewhere after that.
fn untangle(events: &mut [Event], is_bed: impl Fn(&Event) -> bool) {
    let mut states: HashMap<(usize, usize), bool> = HashMap::new();
    for second in events.chunk_by_mut(|a, b| a.at == b.at) {
        // a sort that keeps the order of those that are alike, sensor by sensor
        second.sort_by_key(|event| (event.resident, !is_bed(event), event.sensor));
        for of_sensor in
            second.chunk_by_mut(|a, b| (a.resident, a.sensor) == (b.resident, b.sensor))
        {
            let key = (of_sensor[0].resident, of_sensor[0].sensor);
            let was = states.get(&key).copied().unwrap_or(false);
            of_sensor.sort_by_key(|event| event.on == was);
            states.insert(key, of_sensor[of_sensor.len() - 1].on);
        }
    }
}
