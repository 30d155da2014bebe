//! How far it is between the places of a plan: on roads if there are any, else by straight lines.

use super::scheme::Scheme;
use crate::route::Matrix;
use crate::route::road::cache::{Inputs, Kept, snapped};
use crate::route::road::{
    Estimated, NEAR, Position, Profile, ReadError, Roads, Snap, Unreachable, Weight, straight,
};
use crate::units::rounded;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

/// Why roads cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", file.display())]
pub(super) struct RoadError {
    file: PathBuf,
    source: ReadError,
}

/// The ways between the places of a plan.
#[derive(Debug)]
pub(super) struct Ways {
    pub(super) matrix: Matrix,
    places: Vec<Position>,
    /// The roads, with each place on them or the reason why it is on none.
    roads: Option<(Roads, Vec<Result<Snap, Unreachable>>)>,
    /// Why there are none, though there should be.
    pub(super) trouble: Option<RoadError>,
}

impl Ways {
    /// Measures. The matrix is kept in this directory, so that only new places cost time.
    pub(super) fn measure(scheme: &Scheme, directory: &Path) -> Self {
        let places = scheme.places();
        let means = scheme.settings.profile;
        let mut trouble = None;
        if let Some(file) = &scheme.settings.roads {
            match on_roads(file, &Profile::usual(means), &places, directory) {
                Ok((roads, snaps, matrix)) => {
                    return Self { matrix, places, roads: Some((roads, snaps)), trouble: None };
                }
                Err(source) => trouble = Some(RoadError { file: file.clone(), source }),
            }
        }
        let Estimated(matrix) = straight(&places, means);
        Self { matrix, places, roads: None, trouble }
    }

    /// Whether it is all guessed.
    pub(super) fn estimated(&self) -> bool {
        self.roads.is_none()
    }

    /// Why nobody can go to a place, if nobody can.
    pub(super) fn unreachable(&self, place: usize) -> Option<Unreachable> {
        self.roads.as_ref()?.1.get(place)?.err()
    }

    /// Where a place is.
    pub(super) fn position(&self, place: usize) -> Position {
        self.places[place]
    }

    /// The way from one place to another, as longitudes and latitudes.
    pub(super) fn line(&self, from: usize, to: usize) -> Vec<[f64; 2]> {
        let direct = || vec![self.places[from], self.places[to]];
        let path = self.roads.as_ref().and_then(|(roads, snaps)| {
            let (from, to) = (snaps[from].as_ref().ok()?, snaps[to].as_ref().ok()?);
            Some(roads.path(from, to, Weight::Time)?.line)
        });
        // five decimals are a metre
        let round = |degrees: f64| rounded(degrees, 5);
        path.unwrap_or_else(direct).iter().map(|p| [round(p.lon()), round(p.lat())]).collect()
    }
}

type OnRoads = (Roads, Vec<Result<Snap, Unreachable>>, Matrix);

fn on_roads(
    path: &Path,
    profile: &Profile,
    places: &[Position],
    directory: &Path,
) -> Result<OnRoads, ReadError> {
    let mut file = File::open(path).map_err(ReadError::Io)?;
    let inputs = Inputs::of(&mut file, profile, Weight::Time, NEAR).map_err(ReadError::Io)?;
    // the ways themselves are drawn, so the roads are needed also where the matrix is known
    let roads = Roads::read(BufReader::new(file), profile)?;
    let snaps: Vec<_> = places.iter().map(|place| roads.snap(*place, NEAR)).collect();

    let kept_in = directory.join(inputs.file_name());
    let bytes = std::fs::read(&kept_in).unwrap_or_default();
    let known = Kept::decode(&bytes, &inputs, NEAR);
    let rows = known.as_ref().map(|known| known.rows(places));
    let complete = rows.as_ref().and_then(|rows| rows.iter().copied().collect::<Option<Vec<_>>>());
    if let (Some(known), Some(rows)) = (&known, complete) {
        return Ok((roads, snaps, known.picked(&rows).matrix));
    }
    let on: Vec<_> = snaps.iter().map(|snap| snap.as_ref().ok().copied()).collect();
    let matrix = match (&known, &rows) {
        (Some(known), Some(rows)) => roads.revised(&known.matrix, rows, &on, Weight::Time),
        _ => roads.matrix(&on, Weight::Time),
    };
    let stops = places.iter().copied().zip(snaps.iter().map(snapped)).collect();
    let kept = Kept { stops, matrix };
    if let Err(error) = replace(&kept_in, &kept.encode(&inputs)) {
        // it is measured again the next time
        log::debug!("{} cannot be written: {error}", kept_in.display());
    }
    Ok((roads, snaps, kept.matrix))
}

/// Writes a file that is there whole or not at all.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let part = path.with_added_extension("part");
    std::fs::write(&part, bytes)?;
    std::fs::rename(&part, path)
}
