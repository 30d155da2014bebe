//! The places of a matrix, from CSV.

use crate::cli::columns::{broken, column, columns, line, without_mark};
use crate::route::road::Position;
use std::collections::HashMap;

/// More places would make a matrix that does not fit into a gateway's memory: it takes eight
/// bytes a pair.
const MOST: usize = 5_000;

pub(super) use crate::cli::columns::Fault;

/// A place with its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) id: String,
    pub(super) position: Position,
}

/// A place with the values of further columns.
pub(super) type More<const N: usize> = (Point, [Option<f64>; N]);

/// Reads the columns `id`, `lat` and `lon`, in any order; others are passed over.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Point>, Fault> {
    let points = read_more(bytes, [])?;
    Ok(points.into_iter().map(|(point, [])| point).collect())
}

/// Reads these columns too, where they are: numbers above 0, or nothing.
pub(super) fn read_more<const N: usize>(
    bytes: &[u8],
    more: [&str; N],
) -> Result<Vec<More<N>>, Fault> {
    let bytes = without_mark(bytes);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
    let headers = reader.headers().map_err(|error| broken(bytes, &error))?.clone();
    let [id, lat, lon] = columns(&headers, ["id", "lat", "lon"])?;
    let mut others = [None; N];
    for (other, name) in others.iter_mut().zip(more) {
        *other = column(&headers, name)?;
    }

    let mut points = Vec::new();
    let mut known: HashMap<String, u64> = HashMap::new();
    for record in reader.records() {
        let record = record.map_err(|error| broken(bytes, &error))?;
        let at = record.position().map_or(0, csv::Position::byte);
        let fault = |what: String| Fault { line: line(bytes, at), what };
        let name = &record[id];
        if name.is_empty() {
            return Err(fault("column id: it is empty".to_owned()));
        }
        if let Some(first) = known.insert(name.to_owned(), at) {
            let first = line(bytes, first);
            return Err(fault(format!("column id: {name:?} is already in line {first}")));
        }
        let degrees = |column: &str, text: &str, most: f64| {
            let value = text.parse::<f64>().ok().filter(|value| value.abs() <= most);
            let what = || format!("column {column}: {text:?} is no number from -{most} to {most}");
            value.ok_or_else(|| fault(what()))
        };
        let (lat, lon) =
            (degrees("lat", &record[lat], 90.0)?, degrees("lon", &record[lon], 180.0)?);
        let position = Position::from_degrees(lat, lon).expect("both are in range");
        let mut values = [None; N];
        for ((value, name), other) in values.iter_mut().zip(more).zip(others) {
            let text = other.map_or("", |other| &record[other]);
            if !text.is_empty() {
                let number = text.parse::<f64>().ok().filter(|n| n.is_finite() && *n > 0.0);
                let what = || format!("column {name}: {text:?} is no number above 0");
                *value = Some(number.ok_or_else(|| fault(what()))?);
            }
        }
        if points.len() == MOST {
            return Err(fault(format!("these are more than {MOST} points")));
        }
        points.push((Point { id: name.to_owned(), position }, values));
    }
    Ok(points)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_go_by_name() {
        let points = read(b"\xef\xbb\xbflon, name ,lat,id\n10.75,Storgatan 4,59.9,a\n-1,,-2,b\n");
        let position = |lat, lon| Position::from_degrees(lat, lon).expect("on the earth");
        let expected = [
            Point { id: "a".to_owned(), position: position(59.9, 10.75) },
            Point { id: "b".to_owned(), position: position(-2.0, -1.0) },
        ];
        assert_eq!(points.as_deref(), Ok(&expected[..]));
        assert_eq!(read(b"id,lat,lon\n"), Ok(Vec::new()));
    }

    #[test]
    fn a_fault_names_line_and_column() {
        for (text, expected) in [
            ("", "line 1: there is no column id; id,lat,lon are needed"),
            ("id,lat\n", "line 1: there is no column lon; id,lat,lon are needed"),
            ("id,lat,lon,id\n", "line 1: there are two columns id"),
            ("id,lat,lon\na,1,2\n\na,1,2\n", "line 4: column id: \"a\" is already in line 2"),
            ("id,lat,lon\na,91,2\n", "line 2: column lat: \"91\" is no number from -90 to 90"),
            ("id,lat,lon\na,1,NaN\n", "line 2: column lon: \"NaN\" is no number from -180 to 180"),
            ("id,lat,lon\na,1,\n", "line 2: column lon: \"\" is no number from -180 to 180"),
            ("id,lat,lon\n,1,1\n", "line 2: column id: it is empty"),
            ("id,lat,lon\na,59,9,10,7\n", "line 2: it has 5 columns, and the first line has 3"),
        ] {
            let fault = read(text.as_bytes()).expect_err(text);
            assert_eq!(fault.to_string(), expected);
        }
        let fault = read(b"id,lat,lon\na,1,1\n\xff,2,2\n").expect_err("no text");
        assert_eq!(fault.to_string(), "line 3: it is not UTF-8");
    }
}
