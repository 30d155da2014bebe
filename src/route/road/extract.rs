//! What an OpenStreetMap extract holds for a profile: its ways, their nodes, its turn bans.

use super::access::{self, Passage};
use super::blob::Blobs;
use super::block::{Block, Kind, Member, Tags};
use super::position::Position;
use super::profile::{Means, Profile};
use super::wire::Malformed;
use std::io::{BufReader, Read, Seek};
use std::ops::Range;

/// The most nodes of ways that are read: those of a country like Austria. More are no extract
/// for a gateway.
const MOST_REFS: usize = 16 << 20;

/// Why an extract cannot be read. Places are in bytes from the start of the file.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The bytes could not be had.
    #[error("it cannot be read")]
    Io(#[from] std::io::Error),
    /// The file ends within a blob.
    #[error("it ends at byte {at}, in the middle of a blob: download it again")]
    Truncated {
        /// Where it ends.
        at: u64,
    },
    /// A blob is not what it should be.
    #[error("the blob at byte {at} is no OpenStreetMap data: {what}")]
    Blob {
        /// Where the blob begins.
        at: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The file needs a reader that knows more.
    #[error("it needs the feature {feature:?}, which lykta does not know")]
    Feature {
        /// What it needs.
        feature: String,
    },
    /// There are no roads for this profile in it.
    #[error("there is no road for a {means} in it")]
    NoRoads {
        /// Of the profile.
        means: Means,
    },
    /// There are more roads in it than lykta takes.
    #[error("there are too many roads in it: cut out the municipality and its surroundings")]
    TooLarge,
}

/// What was found in an extract, and what of it is not honoured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Ways that the profile may use, at least in one direction.
    pub ways: u32,
    /// Nodes that stop it: bollards, locked gates, limits.
    pub barriers: u32,
    /// Turn bans that are honoured.
    pub bans: u32,
    /// Turn bans that are not: over a way instead of a node, or ambiguous.
    pub bans_ignored: u32,
    /// Tags and turn bans that hold at certain times only, and are not honoured.
    pub conditional: u32,
}

/// A way that the profile may use.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) passage: Passage,
    nodes: Range<u32>,
}

/// Who comes by one way to a node may not go on by another, or by that one only. Ways and nodes
/// are numbers in the [`Extract`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ban {
    pub(super) from: u32,
    pub(super) via: u32,
    pub(super) to: u32,
    pub(super) only: bool,
}

#[derive(Debug)]
pub(super) struct Extract {
    pub(super) ways: Vec<Way>,
    /// The nodes of the ways, as numbers.
    refs: Vec<u32>,
    /// Where the nodes are, as far as they are in the extract.
    pub(super) places: Vec<Option<Position>>,
    /// Which of them stop the profile.
    pub(super) barriers: Vec<bool>,
    pub(super) bans: Vec<Ban>,
    pub(super) tally: Tally,
}

impl Extract {
    /// Reads a file twice: ways and relations first, then the nodes that they need.
    pub(super) fn read(mut reader: impl Read + Seek, profile: &Profile) -> Result<Self, ReadError> {
        let mut first = First::new(profile);
        reader.rewind()?;
        each_block(&mut reader, |block| first.block(block))?;
        if first.refs.len() > MOST_REFS {
            return Err(ReadError::TooLarge);
        }
        if first.ways.is_empty() {
            return Err(ReadError::NoRoads { means: profile.means });
        }
        let First { ids: way_ids, ways, refs, bans, mut tally, .. } = first;
        let mut ids = refs.clone();
        ids.sort_unstable();
        ids.dedup();
        let number = |id: &i64| ids.binary_search(id).ok().map(|i| i as u32);
        let refs = refs.iter().filter_map(number).collect();

        let mut by_id: Vec<(i64, u32)> = way_ids.into_iter().zip(0..).collect();
        by_id.sort_unstable();
        let way = |id: i64| {
            let found = by_id.binary_search_by_key(&id, |(id, _)| *id).ok()?;
            Some(by_id[found].1)
        };
        let mut numbered = Vec::new();
        for ban in bans {
            let (from, to) = (way(ban.from), way(ban.to));
            match (from, to, ban.via.map(|via| number(&via))) {
                // nobody comes from there, or may go there anyway
                (None, _, _) | (Some(_), None, _) if !ban.only || from.is_none() => {}
                (Some(from), Some(to), Some(Some(via))) => {
                    numbered.push(Ban { from, via, to, only: ban.only });
                }
                _ => tally.bans_ignored += 1,
            }
        }

        let mut places = vec![None; ids.len()];
        let mut barriers = vec![false; ids.len()];
        // nodes come in order, so that the next one needed is mostly known
        let mut next = 0;
        reader.rewind()?;
        each_block(&mut reader, |block| {
            block.nodes(|id, place, tags| {
                let expected = ids.get(next).is_some_and(|wanted| id <= *wanted);
                let passed = next.checked_sub(1).is_none_or(|last| ids[last] < id);
                if !(expected && passed) {
                    next = ids.partition_point(|wanted| *wanted < id);
                }
                if ids.get(next) == Some(&id) {
                    places[next] = Some(place);
                    if !tags.0.is_empty() && access::blocks(tags, profile) {
                        barriers[next] = true;
                    }
                    next += 1;
                }
            })
        })?;
        tally.ways = ways.len() as u32;
        tally.barriers = barriers.iter().filter(|barrier| **barrier).count() as u32;
        Ok(Self { ways, refs, places, barriers, bans: numbered, tally })
    }

    /// The nodes of a way.
    pub(super) fn nodes(&self, way: &Way) -> &[u32] {
        &self.refs[way.nodes.start as usize..way.nodes.end as usize]
    }
}

fn each_block(
    reader: impl Read,
    mut show: impl FnMut(&Block<'_>) -> Result<(), Malformed>,
) -> Result<(), ReadError> {
    let mut blobs = Blobs::new(BufReader::with_capacity(1 << 16, reader));
    while let Some((at, bytes)) = blobs.next()? {
        let shown = Block::new(bytes).and_then(|block| show(&block));
        shown.map_err(|Malformed| ReadError::Blob { at, what: "its content is broken" })?;
    }
    Ok(())
}

/// A turn ban by the ids in the file; without a node if it is over a way.
#[derive(Debug)]
struct RawBan {
    from: i64,
    via: Option<i64>,
    to: i64,
    only: bool,
}

/// What the first reading finds.
#[derive(Debug)]
struct First<'p> {
    profile: &'p Profile,
    /// The ids of the ways.
    ids: Vec<i64>,
    ways: Vec<Way>,
    refs: Vec<i64>,
    bans: Vec<RawBan>,
    tally: Tally,
}

impl<'p> First<'p> {
    fn new(profile: &'p Profile) -> Self {
        Self {
            profile,
            ids: Vec::new(),
            ways: Vec::new(),
            refs: Vec::new(),
            bans: Vec::new(),
            tally: Tally::default(),
        }
    }

    fn block(&mut self, block: &Block<'_>) -> Result<(), Malformed> {
        block.ways(|way| {
            // what is beyond the limit is not kept, and told afterwards
            if way.nodes.len() < 2 || self.refs.len() > MOST_REFS {
                return;
            }
            let Some(passage) = access::passage(way.tags, self.profile) else { return };
            self.count_conditional(way.tags);
            let start = self.refs.len() as u32;
            self.refs.extend_from_slice(way.nodes);
            self.ids.push(way.id);
            self.ways.push(Way { passage, nodes: start..self.refs.len() as u32 });
        })?;
        block.relations(|tags, members| self.relation(tags, members))
    }

    fn count_conditional(&mut self, tags: Tags<'_>) {
        let means = self.profile.means;
        let found = tags.0.iter().filter(|(key, _)| access::is_conditional(key, means)).count();
        self.tally.conditional += found as u32;
    }

    /// Turn restrictions: <https://wiki.openstreetmap.org/wiki/Relation:restriction>.
    fn relation(&mut self, tags: Tags<'_>, members: &[Member<'_>]) {
        if !tags.get("type").is_some_and(|kind| kind.starts_with("restriction")) {
            return;
        }
        let (keys, own): (&[&str], &str) = match self.profile.means {
            Means::Truck => {
                (&["restriction:hgv", "restriction:motor_vehicle", "restriction"], "hgv")
            }
            Means::Van => {
                (&["restriction:goods", "restriction:motor_vehicle", "restriction"], "goods")
            }
            Means::Car => {
                (&["restriction:motorcar", "restriction:motor_vehicle", "restriction"], "motorcar")
            }
            Means::Foot => (&["restriction:foot"], "foot"),
        };
        let excepted = tags.get("except").is_some_and(|except| {
            except.split(';').any(|who| who.trim() == own || who.trim() == "motor_vehicle")
        });
        if excepted {
            return;
        }
        let Some(rule) = keys.iter().find_map(|key| tags.get(key)) else {
            let by_time =
                |key: &str| key.strip_suffix(":conditional").is_some_and(|key| keys.contains(&key));
            self.tally.conditional += u32::from(tags.0.iter().any(|(key, _)| by_time(key)));
            return;
        };
        let only = rule.starts_with("only_");
        if !only && !rule.starts_with("no_") {
            return;
        }
        let role = |role: &'static str, kind: Kind| {
            members.iter().filter(move |m| m.role == role && m.kind == kind).map(|m| m.id)
        };
        let over_way = role("via", Kind::Way).next().is_some();
        let via = role("via", Kind::Node).next().filter(|_| !over_way);
        if self.bans.len() > MOST_REFS {
            return;
        }
        // no_entry has several ways to come from, no_exit several to go to
        for from in role("from", Kind::Way).take(8) {
            for to in role("to", Kind::Way).take(8) {
                self.bans.push(RawBan { from, via, to, only });
            }
        }
    }
}
