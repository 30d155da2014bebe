//! Where things are, and how far apart.

use super::super::geometry::pairs;
use super::super::{FileError, MOST_PLACES};
use super::task::{Task, Ways};
use super::wrong;
use crate::route::Matrix;
use crate::route::matrix::NO_WAY;
use std::collections::HashMap;

/// How much longer a way is than the straight line: between the best factors of the areas that
/// were measured, 1.36 and 1.70, at the lower end as most of them.
const DETOUR: f64 = 1.4;
/// The mean radius of the earth (IUGG).
const EARTH_METRES: f64 = 6_371_008.8;
const METRES_PER_SECOND: f64 = 1000.0 / 3600.0;

/// The places of a problem, in the order of its matrix.
pub(super) struct Places {
    names: HashMap<String, usize>,
    labels: Vec<String>,
    points: Vec<Option<(f64, f64)>>,
    has_matrix: bool,
}

impl Places {
    /// Those that have a name.
    ///
    /// # Errors
    /// When one is there twice, or has no position and needs one.
    pub(super) fn of(task: &Task) -> Result<Self, FileError> {
        let mut this = Self {
            names: HashMap::new(),
            labels: Vec::new(),
            points: Vec::new(),
            has_matrix: task.matrix.is_some(),
        };
        for (i, place) in task.places.iter().enumerate() {
            let path = format!("places[{i}]");
            let point = position(&path, place.lat, place.lon)?;
            if point.is_none() && !this.has_matrix {
                return Err(wrong(path, "lat and lon are needed where there is no matrix"));
            }
            let number = this.push(place.id.clone(), point);
            if this.names.insert(place.id.clone(), number).is_some() {
                return Err(wrong(format!("{path}.id"), format!("{:?} is there twice", place.id)));
            }
        }
        Ok(this)
    }

    fn push(&mut self, label: String, point: Option<(f64, f64)>) -> usize {
        self.labels.push(label);
        self.points.push(point);
        self.points.len() - 1
    }

    /// The place of this name.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn named(&self, path: &str, name: &str) -> Result<usize, FileError> {
        let known = self.names.get(name).copied();
        known.ok_or_else(|| wrong(path, format!("there is no place {name:?}")))
    }

    /// The place of a stop or a site: a name, or a position of its own.
    ///
    /// # Errors
    /// When it has neither or both.
    pub(super) fn at(
        &mut self,
        path: &str,
        name: Option<&str>,
        lat: Option<f64>,
        lon: Option<f64>,
    ) -> Result<usize, FileError> {
        match (name, position(path, lat, lon)?) {
            (Some(name), None) => self.named(&format!("{path}.place"), name),
            (None, Some(_)) if self.has_matrix => {
                Err(wrong(path, "with a matrix a place is needed, not lat and lon"))
            }
            (None, Some(point)) => Ok(self.push(path.to_owned(), Some(point))),
            (None, None) => Err(wrong(path, "a place is missing, or lat and lon")),
            (Some(_), Some(_)) => Err(wrong(path, "it has a place as well as lat and lon")),
        }
    }

    /// The way between all of them: as given, or straight lines.
    ///
    /// # Errors
    /// When the given one has another size or too long ways, or the speed is none.
    pub(super) fn matrix(&self, given: Option<&Ways>, kmh: f64) -> Result<Matrix, FileError> {
        let size = self.points.len();
        if size == 0 {
            return Err(wrong("places", "there is none"));
        }
        if size > MOST_PLACES {
            return Err(FileError::TooLarge { places: size });
        }
        if let Some(given) = given {
            let metres = square("matrix.metres", &given.metres, size)?;
            return Ok(Matrix::new(size, metres, square("matrix.seconds", &given.seconds, size)?));
        }
        if !(1.0..=200.0).contains(&kmh) {
            return Err(wrong("speedKmh", format!("{kmh} is not between 1 and 200")));
        }
        let name = |place: usize| self.labels[place].clone();
        let between = |from: usize, to: usize| match (self.points[from], self.points[to]) {
            (Some(from), Some(to)) => straight(from, to) * DETOUR,
            _ => f64::from(NO_WAY),
        };
        let metres = pairs(size, name, |from, to| between(from, to).round())?;
        let speed = kmh * METRES_PER_SECOND;
        let seconds = pairs(size, name, |from, to| (between(from, to) / speed).ceil())?;
        Ok(Matrix::new(size, metres, seconds))
    }
}

fn position(
    path: &str,
    lat: Option<f64>,
    lon: Option<f64>,
) -> Result<Option<(f64, f64)>, FileError> {
    match (lat, lon) {
        (None, None) => Ok(None),
        (Some(lat), Some(lon)) if lat.abs() <= 90.0 && lon.abs() <= 180.0 => Ok(Some((lat, lon))),
        (Some(lat), Some(lon)) => Err(wrong(path, format!("{lat}, {lon} is not on the earth"))),
        _ => Err(wrong(path, "of lat and lon only one is there")),
    }
}

fn square(path: &str, rows: &[Vec<Option<u32>>], size: usize) -> Result<Vec<u32>, FileError> {
    if rows.len() != size {
        return Err(wrong(path, format!("{} rows, and there are {size} places", rows.len())));
    }
    let mut all = Vec::with_capacity(size * size);
    for (i, row) in rows.iter().enumerate() {
        if row.len() != size {
            let why = format!("{} numbers, and there are {size} places", row.len());
            return Err(wrong(format!("{path}[{i}]"), why));
        }
        for (j, way) in row.iter().enumerate() {
            match way {
                Some(way) if *way >= NO_WAY => {
                    let why = format!("{way} is too long; null says that there is no way");
                    return Err(wrong(format!("{path}[{i}][{j}]"), why));
                }
                way => all.push(way.unwrap_or(NO_WAY)),
            }
        }
    }
    Ok(all)
}

/// The great circle between two positions, in metres (haversine).
fn straight(from: (f64, f64), to: (f64, f64)) -> f64 {
    let (lat, lon) = ((to.0 - from.0).to_radians(), (to.1 - from.1).to_radians());
    let squares = (lat / 2.0).sin().powi(2)
        + from.0.to_radians().cos() * to.0.to_radians().cos() * (lon / 2.0).sin().powi(2);
    2.0 * EARTH_METRES * squares.sqrt().min(1.0).asin()
}
