//! Where the town of a simulation lies, and how far it is between its places.

use super::Args;
use crate::route::Matrix;
use crate::route::road::{
    Area, Estimated, Means, Position, Profile, ReadError, Roads, Snap, Weight, straight,
};
use crate::route::simulation::Town;
use crate::units::Metres;
use anyhow::Context;
use std::fs::File;

/// A bin is put at the nearest road within this; who has none within it is in a lake.
const NEAR: Metres = Metres(1_000.0);
/// The depot and the site are not drawn by chance, and may lie farther off.
const DEPOT_NEAR: Metres = Metres(5_000.0);
/// How much of an extract's area is left free at each side: roads end there.
const EDGE: f64 = 0.12;

/// A town on its ground.
pub(super) struct Ground {
    pub(super) town: Town,
    pub(super) matrix: Matrix,
    pub(super) roads: Option<(Roads, Vec<Snap>)>,
}

impl Ground {
    /// Puts a town on roads if there are any, or draws one by chance; or why that is impossible.
    ///
    /// # Errors
    /// When the file with the roads cannot be read.
    pub(super) fn new(args: &Args, town: Option<Town>) -> anyhow::Result<Result<Self, String>> {
        let bins = args.bins as usize;
        let Some(path) = &args.roads else {
            // twelve kilometres in each direction, about as far as from one end of Södertälje to
            // the other
            let place = |lat, lon| Position::from_degrees(lat, lon).expect("on the earth");
            let area = Area { least: place(59.14, 17.53), greatest: place(59.25, 17.74) };
            let town = town.unwrap_or_else(|| Town::new(bins, area, args.seed));
            let Estimated(matrix) = straight(&town.places, Means::Truck);
            return Ok(Ok(Self { town, matrix, roads: None }));
        };
        let unreadable = || format!("{} cannot be read", path.display());
        let file = File::open(path).with_context(unreadable)?;
        let roads = match Roads::read(file, &Profile::TRUCK) {
            Ok(roads) => roads,
            Err(ReadError::Io(error)) => return Err(error).with_context(unreadable),
            Err(error) => return Ok(Err(format!("{}: {error}", path.display()))),
        };
        let recorded = town.is_some();
        let town = town.unwrap_or_else(|| Town::new(bins, inner(roads.area()), args.seed));
        let near = |place: usize| if place < Town::BINS { DEPOT_NEAR } else { NEAR };
        let places = town.places.iter().enumerate();
        let snaps: Vec<_> =
            places.map(|(number, place)| roads.snap(*place, near(number))).collect();
        for snap in &snaps[..Town::BINS] {
            if let Err(why) = snap {
                return Ok(Err(format!("{}: no place for a depot: {why}", path.display())));
            }
        }
        let nowhere = town
            .containers
            .iter()
            .zip(&snaps[Town::BINS..])
            .find_map(|(bin, snap)| Some((&bin.id, snap.as_ref().err()?)));
        // a bin by chance may be in a lake, a recorded one stands somewhere
        if let (true, Some((id, why))) = (recorded, nowhere) {
            return Ok(Err(format!("{}: bin {id:?}: {why}", path.display())));
        }
        let mut town = town.with(|bin| snaps[Town::BINS + bin].is_ok());
        if town.containers.is_empty() {
            return Ok(Err(format!("{}: no place for any bin", path.display())));
        }
        let snaps: Vec<Snap> = snaps.into_iter().flatten().collect();
        for (place, snap) in town.places.iter_mut().zip(&snaps) {
            *place = snap.position;
        }
        let stops: Vec<_> = snaps.iter().copied().map(Some).collect();
        let matrix = roads.matrix(&stops, Weight::Time);
        Ok(Ok(Self { town, matrix, roads: Some((roads, snaps)) }))
    }

    /// The way from one place to another, for a picture.
    pub(super) fn way(&self, from: usize, to: usize) -> Vec<Position> {
        let places = &self.town.places;
        let path = self.roads.as_ref().and_then(|(roads, snaps)| {
            roads.path(&snaps[from], &snaps[to], Weight::Time).map(|path| path.line)
        });
        path.unwrap_or_else(|| vec![places[from], places[to]])
    }
}

/// An area without its edges.
fn inner(area: Area) -> Area {
    let at = |share: f64| {
        let mix = |a: f64, b: f64| a + (b - a) * share;
        let (least, greatest) = (area.least, area.greatest);
        let lat = mix(least.lat(), greatest.lat());
        Position::from_degrees(lat, mix(least.lon(), greatest.lon())).unwrap_or(least)
    };
    Area { least: at(EDGE), greatest: at(1.0 - EDGE) }
}
