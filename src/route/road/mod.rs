//! Roads from an OpenStreetMap extract, and the ways between stops on them.
//!
//! ```text
//!  bytes ─ blob ─ block ─► extract ─ piece ─► net ─ search ─► matrix, path
//!             access, speed ┘                  ▲
//!                            coordinates ─ snap ┘
//! ```
//!
//! Pure: the bytes come in as [`Read`] and [`Seek`], and nothing is kept but in [`Roads`]. A
//! profile has its own roads, since what is closed to it is not even in its net. What is read of
//! the tags, and what is not, stands in `access` and `speed`.
//!
//! The reader of the file format is our own. The crate `osmpbf` panics on a member type that is
//! not in its list, and one cannot ask it to stop before that; it also takes a file that ends in
//! the middle of a length for a whole one.
//!
//! Extracts are under the Open Database Licence: what is made of them says
//! "© OpenStreetMap contributors".

mod access;
mod blob;
mod block;
pub mod cache;
mod component;
mod extract;
mod index;
mod net;
mod path;
mod piece;
mod position;
mod profile;
mod search;
mod snap;
mod speed;
mod straight;
mod table;
mod wire;

pub use extract::{ReadError, Tally};
pub use path::{Line, Path};
pub use position::{Area, Position};
pub use profile::{Means, Profile, UnknownProfile};
pub use search::Weight;
pub use snap::{Snap, Unreachable};
pub use straight::{Estimated, straight};

use crate::units::Metres;
use extract::Extract;
use index::Index;
use net::{Net, Road};
use std::io::{Read, Seek};

/// How far a stop may be from a road unless told otherwise: a yard is within, a lake is not.
pub const NEAR: Metres = Metres(250.0);

/// All roads of an extract for one profile.
#[derive(Debug)]
pub struct Roads {
    roads: Vec<Road>,
    /// The places of all roads, one road after the other.
    places: Vec<Position>,
    /// Roads at which one might stop, if one could get there and away.
    cut_off: Vec<bool>,
    net: Net,
    index: Index,
    area: Area,
    tally: Tally,
}

impl Roads {
    /// Reads an `.osm.pbf` file, twice.
    ///
    /// # Errors
    /// If it cannot be read, is none, or holds no road for the profile. Not if it is a part of a
    /// larger one: a road ends where its nodes do.
    pub fn read(extract: impl Read + Seek, profile: &Profile) -> Result<Self, ReadError> {
        let mut extract = Extract::read(extract, profile)?;
        let (mut pieces, junctions) = piece::pieces(&extract);
        let mut tally = extract.tally;
        let bans = std::mem::take(&mut extract.bans);
        drop(extract);
        let area = Area::around(pieces.iter().flat_map(|piece| piece.shape.iter().copied()));
        let area = area.ok_or(ReadError::NoRoads { means: profile.means })?;
        let (junctions, bans) = piece::ordered(&mut pieces, junctions, bans);
        let mut roads = net::roads(&pieces);
        let net = Net::new(&pieces, &roads, junctions, &bans, &mut tally);
        let places: Vec<Position> = pieces.into_iter().flat_map(|piece| piece.shape).collect();
        let index = Index::new(&roads, &places);

        let (there, back) = component::reach(&net);
        let mut cut_off = vec![false; roads.len()];
        for (number, road) in roads.iter_mut().enumerate().filter(|(_, road)| road.stop) {
            let arcs = [0, 1].map(|way| number as u32 * 2 + way);
            let open = || arcs.iter().filter(|arc| road.times[**arc as usize % 2] != net::CLOSED);
            let come = |arc: &u32| net.entries.of(*arc).iter().any(|state| there[*state as usize]);
            let leave = |arc: &u32| back[net.ends[*arc as usize] as usize];
            road.stop = open().any(come) && open().any(leave);
            cut_off[number] = !road.stop;
        }
        Ok(Self { roads, places, cut_off, net, index, area, tally })
    }

    /// What was found in the extract, and what of it is not honoured.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// How many roads there are between how many junctions, with the states that turn bans and
    /// closed zones add.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        (self.roads.len(), self.net.out.rows())
    }
}
