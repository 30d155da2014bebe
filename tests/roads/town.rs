//! Towns drawn by hand: places in metres east and north of an origin, named by a letter.

use crate::pbf::{Data, Form, Tags};
use lykta::route::matrix::NO_WAY;
use lykta::route::road::{NEAR, Position, Profile, Roads, Snap, Unreachable, Weight};
use std::io::Cursor;

#[derive(Debug, Clone, Default)]
pub(crate) struct Town {
    pub(crate) data: Data,
}

/// Metres east and north.
pub(crate) type At = (f64, f64);

pub(crate) fn position((east, north): At) -> Position {
    let metres = 6_371_008.8_f64.to_radians();
    let (lat, lon) = (59.9 + north / metres, 10.7 + east / metres / 59.9_f64.to_radians().cos());
    Position::from_degrees(lat, lon).unwrap()
}

fn tags(tags: &[(&str, &str)]) -> Tags {
    tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

impl Town {
    /// Rows of letters, 100 metres apart, the northernmost first; a dot is nothing.
    pub(crate) fn drawn(rows: &[&str]) -> Self {
        let mut town = Self::default();
        for (south, row) in rows.iter().enumerate() {
            for (east, name) in row.chars().enumerate().filter(|(_, name)| *name != '.') {
                let north = (rows.len() - 1 - south) as f64;
                town.place(i64::from(name as u32), (east as f64 * 100.0, north * 100.0));
            }
        }
        town
    }

    pub(crate) fn place(&mut self, id: i64, at: At) {
        let (lat, lon) = position(at).steps();
        self.data.nodes.push((id, lat.into(), lon.into(), Tags::new()));
        self.data.nodes.sort_by_key(|node| node.0);
    }

    /// A residential street, unless told otherwise; its id is its number, from 1.
    pub(crate) fn way(mut self, nodes: &str, more: &[(&str, &str)]) -> Self {
        let nodes = nodes.chars().map(|name| i64::from(name as u32)).collect();
        self.street(nodes, more);
        self
    }

    pub(crate) fn street(&mut self, nodes: Vec<i64>, more: &[(&str, &str)]) {
        let mut all = tags(more);
        if !more.iter().any(|(key, _)| *key == "highway") {
            all.push(("highway".to_owned(), "residential".to_owned()));
        }
        self.data.ways.push((self.data.ways.len() as i64 + 1, nodes, all));
    }

    pub(crate) fn tagged(mut self, name: char, more: &[(&str, &str)]) -> Self {
        let node = self.data.nodes.iter_mut().find(|node| node.0 == i64::from(name as u32));
        node.unwrap().3.extend(tags(more));
        self
    }

    /// A turn restriction between ways by their numbers.
    pub(crate) fn ban(mut self, rule: &str, from: i64, via: char, to: i64) -> Self {
        self.restriction(&[("restriction", rule)], from, i64::from(via as u32), to);
        self
    }

    pub(crate) fn restriction(&mut self, more: &[(&str, &str)], from: i64, via: i64, to: i64) {
        let member = |kind: u64, id: i64, role: &str| (kind, id, role.to_owned());
        let members = vec![member(1, from, "from"), member(0, via, "via"), member(1, to, "to")];
        let mut all = tags(more);
        all.push(("type".to_owned(), "restriction".to_owned()));
        self.data.relations.push((members, all));
    }

    pub(crate) fn file(&self) -> Vec<u8> {
        self.data.file(Form::default())
    }

    pub(crate) fn roads(&self, profile: &Profile) -> Roads {
        Roads::read(Cursor::new(self.file()), profile).unwrap()
    }
}

pub(crate) fn snap(roads: &Roads, at: At) -> Result<Snap, Unreachable> {
    roads.snap(position(at), NEAR)
}

/// The shortest way in metres, which is drawn as long as it is.
pub(crate) fn metres(roads: &Roads, from: At, to: At) -> u32 {
    way(roads, from, to, Weight::Distance).0
}

pub(crate) fn way(roads: &Roads, from: At, to: At, weight: Weight) -> (u32, u32) {
    let stops = [from, to].map(|at| Some(snap(roads, at).unwrap()));
    let matrix = roads.matrix(&stops, weight);
    let (metres, seconds) = (matrix.distance(0, 1), matrix.time(0, 1));
    let path = roads.path(&stops[0].unwrap(), &stops[1].unwrap(), weight);
    let Some(path) = path else {
        assert_eq!((metres, seconds), (NO_WAY, NO_WAY));
        return (metres, seconds);
    };
    assert!((path.distance.0 - f64::from(metres)).abs() <= 0.5, "{} {metres}", path.distance.0);
    assert!((path.seconds - f64::from(seconds)).abs() <= 0.5);
    let line: f64 = path.line.windows(2).map(|pair| pair[0].distance(pair[1]).0).sum();
    assert!((line - path.distance.0).abs() < 0.5, "{line} {}", path.distance.0);
    (metres, seconds)
}

/// Whether a length is as drawn: the earth is not flat, and the map is.
pub(crate) fn about(found: u32, drawn: u32) -> bool {
    found.abs_diff(drawn) <= 2
}

#[macro_export]
macro_rules! assert_metres {
    ($roads:expr, $from:expr, $to:expr, $drawn:expr) => {
        let found = $crate::town::metres(&$roads, $from, $to);
        assert!($crate::town::about(found, $drawn), "{found} m instead of {} m", $drawn);
    };
}
