//! A matrix on disk: what it was made of, so that it is used again for that and nothing else.
//!
//! ```text
//!  "lyktaRM1"  inputs (32)  count (4)  lat lon state cm (16 × count)
//!  metres (4 × count²)  seconds (4 × count²)  SHA-256 of all before (32)
//! ```
//!
//! Numbers are little-endian. The version in the magic changes with the format and whenever the
//! same inputs would give another matrix: a rule of access, a speed, the search.

use super::position::Position;
use super::profile::Profile;
use super::search::Weight;
use super::snap::{Snap, Unreachable};
use crate::route::matrix::Matrix;
use crate::units::{Metres, rounded};
use sha2::{Digest, Sha256};
use std::io::{ErrorKind, Read};
use std::sync::Arc;

const MAGIC: &[u8; 8] = b"lyktaRM1";
const DIGEST: usize = 32;
const HEAD: usize = MAGIC.len() + DIGEST + 4;

/// Everything that a matrix depends on, except for its stops: the bytes of the extract, the
/// profile, the weight, and how far a stop may be from a road.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inputs([u8; DIGEST]);

impl Inputs {
    /// Reads an extract to its end.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn of(
        mut extract: impl Read,
        profile: &Profile,
        weight: Weight,
        limit: Metres,
    ) -> std::io::Result<Self> {
        let mut hash = Sha256::new();
        hash.update(MAGIC);
        hash.update(profile.bytes().collect::<Vec<u8>>());
        hash.update([weight as u8]);
        hash.update(limit.0.to_le_bytes());
        let mut bytes = vec![0; 1 << 16];
        loop {
            match extract.read(&mut bytes) {
                Ok(0) => return Ok(Self(hash.finalize().into())),
                Ok(read) => hash.update(&bytes[..read]),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// A name for the file that a matrix of these inputs is kept in.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("roads-{}.matrix", hex::encode(&self.0[..8]))
    }
}

/// What became of a stop's coordinates: how far away its road is, or that it has none.
pub type Snapped = Result<Metres, Unreachable>;

/// What is kept of a snapped stop: its distance to the centimetre.
pub fn snapped(snap: &Result<Snap, Unreachable>) -> Snapped {
    let kept = |distance: Metres| Metres(rounded(distance.0, 2));
    match snap {
        Ok(snap) => Ok(kept(snap.distance)),
        Err(Unreachable::CutOff { distance, limit }) => {
            Err(Unreachable::CutOff { distance: kept(*distance), limit: *limit })
        }
        Err(other) => Err(*other),
    }
}

/// A matrix with its stops.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// Where the stops are, and how far from a road, in the matrix's order.
    pub stops: Vec<(Position, Snapped)>,
    /// The way between them.
    pub matrix: Matrix,
}

impl Kept {
    /// The bytes of a file.
    ///
    /// # Panics
    ///
    /// If there are not as many stops as the matrix has.
    #[must_use]
    pub fn encode(&self, inputs: &Inputs) -> Vec<u8> {
        let size = self.stops.len();
        assert_eq!(size, self.matrix.size(), "a stop for each row");
        let mut bytes = Vec::with_capacity(HEAD + 16 * size + 8 * size * size + DIGEST);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&inputs.0);
        bytes.extend_from_slice(&(size as u32).to_le_bytes());
        for (position, snapped) in &self.stops {
            let (lat, lon) = position.steps();
            let (state, Metres(value)) = match snapped {
                Ok(distance) => (0_u32, *distance),
                Err(Unreachable::TooFar { limit }) => (1, *limit),
                Err(Unreachable::CutOff { distance, .. }) => (2, *distance),
            };
            for bits in [lat as u32, lon as u32, state, (value * 100.0).round() as u32] {
                bytes.extend_from_slice(&bits.to_le_bytes());
            }
        }
        for entry in self.matrix.distances().iter().chain(self.matrix.times().iter()) {
            bytes.extend_from_slice(&entry.to_le_bytes());
        }
        let digest = Sha256::digest(&bytes);
        bytes.extend_from_slice(&digest);
        bytes
    }

    /// The matrix in a file; none if the file is of other inputs or another version, or broken in
    /// any way: then the matrix is made anew. `limit` is that of the inputs.
    #[must_use]
    pub fn decode(bytes: &[u8], inputs: &Inputs, limit: Metres) -> Option<Self> {
        let (content, digest) = bytes.split_last_chunk::<DIGEST>()?;
        let (magic, rest) = content.split_first_chunk::<8>()?;
        let (made_of, rest) = rest.split_first_chunk::<DIGEST>()?;
        let (size, rest) = rest.split_first_chunk::<4>()?;
        let size = usize::try_from(u32::from_le_bytes(*size)).ok()?;
        let entries = size.checked_mul(size)?;
        let expected = entries.checked_mul(8)?.checked_add(size.checked_mul(16)?)?;
        let meant = magic == MAGIC && *made_of == inputs.0 && rest.len() == expected;
        if !meant || Sha256::digest(content)[..] != digest[..] {
            return None;
        }
        let number = |bytes: &[u8; 4]| u32::from_le_bytes(*bytes);
        let (stops, rest) = rest.split_at(size * 16);
        let (metres, seconds) = rest.split_at(entries * 4);
        let stops: Option<Vec<_>> = stops
            .as_chunks::<4>()
            .0
            .as_chunks::<4>()
            .0
            .iter()
            .map(|stop| {
                let [lat, lon, state, value] = stop.each_ref().map(number);
                let position = Position::from_steps(i64::from(lat as i32), i64::from(lon as i32))?;
                let distance = Metres(f64::from(value) / 100.0);
                let snapped = match state {
                    0 => Ok(distance),
                    1 => Err(Unreachable::TooFar { limit }),
                    2 => Err(Unreachable::CutOff { distance, limit }),
                    _ => return None,
                };
                Some((position, snapped))
            })
            .collect();
        let numbers =
            |bytes: &[u8]| -> Arc<[u32]> { bytes.as_chunks::<4>().0.iter().map(number).collect() };
        let matrix = Matrix::new(size, numbers(metres), numbers(seconds));
        Some(Self { stops: stops?, matrix })
    }

    /// For each of these places the row of this matrix that it can keep. One place has one row,
    /// however many stops are there.
    #[must_use]
    pub fn rows(&self, places: &[Position]) -> Vec<Option<usize>> {
        let known: std::collections::HashMap<Position, usize> =
            self.stops.iter().zip(0..).map(|((position, _), row)| (*position, row)).collect();
        places.iter().map(|place| known.get(place).copied()).collect()
    }

    /// The same matrix for stops in another order, or fewer of them, or several at one place:
    /// those of these rows.
    ///
    /// # Panics
    ///
    /// If the matrix has no such row.
    #[must_use]
    pub fn picked(&self, rows: &[usize]) -> Self {
        let entries = |of: fn(&Matrix, usize, usize) -> u32| -> Vec<u32> {
            let row = |from: &usize| {
                rows.iter().map(|to| of(&self.matrix, *from, *to)).collect::<Vec<_>>()
            };
            rows.iter().flat_map(row).collect()
        };
        let matrix = Matrix::new(rows.len(), entries(Matrix::distance), entries(Matrix::time));
        Self { stops: rows.iter().map(|row| self.stops[*row]).collect(), matrix }
    }
}
