//! A block of a `.osm.pbf` file: nodes, ways and relations with their tags.

use super::position::Position;
use super::wire::{Malformed, Wire, zigzag};

/// More texts than any writer puts into a block (they end one after 8,000 elements).
const MOST_STRINGS: usize = 1 << 20;

/// More tags, nodes of a way or members of a relation than OpenStreetMap's own limits allow
/// (2,000 nodes, 32,000 members).
const MOST_PARTS: usize = 100_000;

/// The tags of an element, or of none.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tags<'a>(pub(super) &'a [(&'a str, &'a str)]);

impl<'a> Tags<'a> {
    pub(super) fn get(self, key: &str) -> Option<&'a str> {
        self.0.iter().find(|(k, _)| *k == key).map(|(_, value)| *value)
    }

    pub(super) fn is(self, key: &str, value: &str) -> bool {
        self.get(key) == Some(value)
    }
}

/// A way: its nodes in order.
pub(super) struct Way<'a> {
    pub(super) id: i64,
    pub(super) tags: Tags<'a>,
    pub(super) nodes: &'a [i64],
}

/// What a relation is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Node,
    Way,
    Other,
}

/// A part of a relation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member<'a> {
    pub(super) kind: Kind,
    pub(super) id: i64,
    pub(super) role: &'a str,
}

/// A block, lent from its bytes.
#[derive(Debug)]
pub(super) struct Block<'a> {
    strings: Vec<&'a str>,
    groups: Vec<&'a [u8]>,
    /// Nanodegrees in a step of the coordinates.
    granularity: i64,
    /// Where the coordinates count from, in nanodegrees.
    offset: (i64, i64),
}

impl<'a> Block<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut block =
            Self { strings: Vec::new(), groups: Vec::new(), granularity: 100, offset: (0, 0) };
        let mut fields = Wire(bytes);
        while let Some((field, value)) = fields.field()? {
            match field {
                1 => {
                    let mut table = Wire(value.bytes()?);
                    while let Some((field, value)) = table.field()? {
                        if field == 1 {
                            // a text that is none matches no rule, which is all it could do
                            let text = std::str::from_utf8(value.bytes()?).unwrap_or_default();
                            push(&mut block.strings, text, MOST_STRINGS)?;
                        }
                    }
                }
                2 => push(&mut block.groups, value.bytes()?, MOST_STRINGS)?,
                17 => block.granularity = value.number()? as i64,
                19 => block.offset.0 = value.number()? as i64,
                20 => block.offset.1 = value.number()? as i64,
                _ => {}
            }
        }
        Ok(block)
    }

    /// Shows every way.
    pub(super) fn ways(&self, mut show: impl FnMut(Way<'_>)) -> Result<(), Malformed> {
        let (mut nodes, mut tags) = (Vec::new(), Vec::new());
        self.elements(3, |way| {
            nodes.clear();
            let id = self.tagged(way, &mut tags, |field, bytes| {
                if field == 8 {
                    sums(bytes, &mut nodes)?;
                }
                Ok(())
            })?;
            show(Way { id, tags: Tags(&tags), nodes: &nodes });
            Ok(())
        })
    }

    /// Shows every relation's tags and members.
    pub(super) fn relations(
        &self,
        mut show: impl FnMut(Tags<'_>, &[Member<'_>]),
    ) -> Result<(), Malformed> {
        let (mut ids, mut members, mut tags) = (Vec::new(), Vec::new(), Vec::new());
        self.elements(4, |relation| {
            ids.clear();
            members.clear();
            let (mut roles, mut kinds) = (Wire(&[]), Wire(&[]));
            self.tagged(relation, &mut tags, |field, bytes| {
                match field {
                    8 => roles = Wire(bytes),
                    9 => sums(bytes, &mut ids)?,
                    10 => kinds = Wire(bytes),
                    _ => {}
                }
                Ok(())
            })?;
            for id in &ids {
                let role = self.string(roles.number()?.ok_or(Malformed)?)?;
                let kind = match kinds.number()?.ok_or(Malformed)? {
                    0 => Kind::Node,
                    1 => Kind::Way,
                    _ => Kind::Other,
                };
                members.push(Member { kind, id: *id, role });
            }
            show(Tags(&tags), &members);
            Ok(())
        })
    }

    /// Shows every node. One whose coordinates are not on the earth is passed over.
    pub(super) fn nodes(
        &self,
        mut show: impl FnMut(i64, Position, Tags<'_>),
    ) -> Result<(), Malformed> {
        let mut tags = Vec::new();
        self.elements(1, |node| {
            let (mut lat, mut lon) = (0, 0);
            let mut fields = Wire(node);
            while let Some((field, value)) = fields.field()? {
                match field {
                    8 => lat = zigzag(value.number()?),
                    9 => lon = zigzag(value.number()?),
                    _ => {}
                }
            }
            // node ids are zigzag, unlike those of ways
            let id = self.tagged(node, &mut tags, |_, _| Ok(()))? as u64;
            if let Some(position) = self.position(lat, lon) {
                show(zigzag(id), position, Tags(&tags));
            }
            Ok(())
        })?;
        self.elements(2, |dense| {
            let [mut ids, mut lats, mut lons, mut texts] = [Wire(&[]); 4];
            let mut fields = Wire(dense);
            while let Some((field, value)) = fields.field()? {
                match field {
                    1 => ids = Wire(value.bytes()?),
                    8 => lats = Wire(value.bytes()?),
                    9 => lons = Wire(value.bytes()?),
                    10 => texts = Wire(value.bytes()?),
                    _ => {}
                }
            }
            let (mut id, mut lat, mut lon) = (0_i64, 0_i64, 0_i64);
            while let Some(step) = ids.signed()? {
                id = id.wrapping_add(step);
                lat = lat.wrapping_add(lats.signed()?.ok_or(Malformed)?);
                lon = lon.wrapping_add(lons.signed()?.ok_or(Malformed)?);
                tags.clear();
                while let Some(key) = texts.number()?.filter(|key| *key != 0) {
                    let value = texts.number()?.ok_or(Malformed)?;
                    push(&mut tags, (self.string(key)?, self.string(value)?), MOST_PARTS)?;
                }
                if let Some(position) = self.position(lat, lon) {
                    show(id, position, Tags(&tags));
                }
            }
            Ok(())
        })
    }

    /// Shows the bytes of every element of a kind.
    fn elements(
        &self,
        kind: u64,
        mut show: impl FnMut(&'a [u8]) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        for group in &self.groups {
            let mut fields = Wire(group);
            while let Some((field, value)) = fields.field()? {
                if field == kind {
                    show(value.bytes()?)?;
                }
            }
        }
        Ok(())
    }

    /// An element's id; its tags go to `tags`, its other lists are shown.
    fn tagged<'t>(
        &'t self,
        element: &'a [u8],
        tags: &mut Vec<(&'t str, &'t str)>,
        mut show: impl FnMut(u64, &'a [u8]) -> Result<(), Malformed>,
    ) -> Result<i64, Malformed> {
        tags.clear();
        let (mut id, mut keys, mut values) = (0, Wire(&[]), Wire(&[]));
        let mut fields = Wire(element);
        while let Some((field, value)) = fields.field()? {
            match (field, value) {
                (1, value) => id = value.number()? as i64,
                (2, value) => keys = Wire(value.bytes()?),
                (3, value) => values = Wire(value.bytes()?),
                (field, super::wire::Value::Bytes(bytes)) => show(field, bytes)?,
                _ => {}
            }
        }
        while let Some(key) = keys.number()? {
            let value = values.number()?.ok_or(Malformed)?;
            push(tags, (self.string(key)?, self.string(value)?), MOST_PARTS)?;
        }
        Ok(id)
    }

    fn string(&self, index: u64) -> Result<&'a str, Malformed> {
        let index = usize::try_from(index).map_err(|_| Malformed)?;
        self.strings.get(index).copied().ok_or(Malformed)
    }

    fn position(&self, lat: i64, lon: i64) -> Option<Position> {
        let steps = |offset: i64, value: i64| {
            Some(offset.checked_add(self.granularity.checked_mul(value)?)? / 100)
        };
        Position::from_steps(steps(self.offset.0, lat)?, steps(self.offset.1, lon)?)
    }
}

/// A list of ids, each written as the difference to the one before.
fn sums(bytes: &[u8], into: &mut Vec<i64>) -> Result<(), Malformed> {
    let (mut list, mut id) = (Wire(bytes), 0_i64);
    while let Some(step) = list.signed()? {
        id = id.wrapping_add(step);
        push(into, id, MOST_PARTS)?;
    }
    Ok(())
}

fn push<T>(list: &mut Vec<T>, item: T, most: usize) -> Result<(), Malformed> {
    if list.len() == most {
        return Err(Malformed);
    }
    list.push(item);
    Ok(())
}
