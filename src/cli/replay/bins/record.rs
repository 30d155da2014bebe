//! A record of readings, from CSV.

use crate::bins::{Echo, Input};
use crate::cli::columns::{Fault, broken, column, columns, line, without_mark};
use crate::units::{Celsius, Degrees, Metres, Ratio, Volts};
use jiff::Timestamp;

/// A record that is read line by line.
pub(super) struct Record<'b> {
    bytes: &'b [u8],
    reader: csv::Reader<&'b [u8]>,
    row: csv::StringRecord,
    bin: usize,
    time: usize,
    distance: Option<usize>,
    fill: Option<usize>,
    voltage: Option<usize>,
    temperature: Option<usize>,
    tilt: Option<usize>,
    presses: Option<usize>,
}

/// A reading.
pub(super) struct Line<'r> {
    /// The byte at which it begins.
    pub(super) at: u64,
    pub(super) bin: &'r str,
    /// As it was written.
    pub(super) time: serde_json::Number,
    pub(super) input: Input,
}

impl Line<'_> {
    pub(super) fn distance(&self) -> Option<Metres> {
        match self.input.echo {
            Echo::Distance(distance) => Some(distance),
            _ => None,
        }
    }
}

impl<'b> Record<'b> {
    /// Reads the first line.
    pub(super) fn new(bytes: &'b [u8]) -> Result<Self, Fault> {
        let bytes = without_mark(bytes);
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
        let headers = reader.headers().map_err(|error| broken(bytes, &error))?.clone();
        let fill = column(&headers, "fill_percent")?;
        let [bin, time] = match fill {
            Some(_) => columns(&headers, ["bin", "t_unix"])?,
            None => {
                let [bin, time, _] = columns(&headers, ["bin", "t_unix", "dist_cm"])?;
                [bin, time]
            }
        };
        let column = |name| column(&headers, name);
        Ok(Self {
            bytes,
            reader,
            row: csv::StringRecord::new(),
            bin,
            time,
            distance: column("dist_cm")?,
            fill,
            voltage: column("mv")?,
            temperature: column("temp_c")?,
            tilt: column("tilt_deg")?,
            presses: column("presses")?,
        })
    }

    /// The next line; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<Line<'_>>, Fault> {
        let bytes = self.bytes;
        if !self.reader.read_record(&mut self.row).map_err(|error| broken(bytes, &error))? {
            return Ok(None);
        }
        let at = self.row.position().map_or(0, csv::Position::byte);
        let fault = |what: String| Fault { line: line(bytes, at), what };
        let row = &self.row;
        let cell = |name: &str, column: Option<usize>, range: std::ops::RangeInclusive<f64>| {
            let text = column.map_or("", |column| &row[column]);
            if text.is_empty() {
                return Ok(None);
            }
            let number = text.parse::<f64>().ok().filter(|number| range.contains(number));
            let (least, most) = (range.start(), range.end());
            let what = || format!("column {name}: {text:?} is no number from {least} to {most}");
            number.map(Some).ok_or_else(|| fault(what()))
        };
        let bin = &row[self.bin];
        if bin.is_empty() {
            return Err(fault("column bin: it is empty".to_owned()));
        }
        let text = &row[self.time];
        let what = || format!("column t_unix: {text:?} are no seconds since 1970");
        let number_of = |text: &str| {
            let whole = text.parse::<i64>().ok().map(serde_json::Number::from);
            whole.or_else(|| serde_json::Number::from_f64(text.parse().ok()?))
        };
        let time = number_of(text).ok_or_else(|| fault(what()))?;
        // further back nobody had a sensor, and further ahead nobody has a time zone
        let seconds = time.as_f64().filter(|seconds| (0.0..=LAST).contains(seconds));
        let stamp = seconds.and_then(|seconds| Timestamp::from_second(seconds as i64).ok());
        let mut input = Input::new(stamp.ok_or_else(|| fault(what()))?, true);
        let fill = cell("fill_percent", self.fill, 0.0..=1000.0)?;
        input.told = fill.map(|fill| Ratio(fill / 100.0));
        if let Some(centimetres) = cell("dist_cm", self.distance, 0.0..=1e6)? {
            input.echo = Echo::bytes(Metres(centimetres / 100.0));
        }
        input.battery = cell("mv", self.voltage, 0.0..=1e6)?.map(|mv| Volts(mv / 1000.0));
        input.temperature = cell("temp_c", self.temperature, -1e6..=1e6)?.map(Celsius);
        input.tilt = cell("tilt_deg", self.tilt, -1e6..=1e6)?.map(Degrees);
        input.presses = cell("presses", self.presses, 0.0..=4e9)?.map(|presses| presses as u32);
        Ok(Some(Line { at, bin, time, input }))
    }
}

/// What is wrong with the line that begins at this byte.
pub(super) fn fault(bytes: &[u8], at: u64, what: String) -> Fault {
    Fault { line: line(without_mark(bytes), at), what }
}

/// The end of the year 2149: the days of a bin are numbered up to there.
const LAST: f64 = 5_680_000_000.0;
