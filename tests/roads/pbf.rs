//! A writer of `.osm.pbf` files: as much of the format as a small town needs.

use miniz_oxide::deflate::compress_to_vec_zlib;

pub(crate) type Tags = Vec<(String, String)>;

/// A part of a relation: kind (0 for a node, 1 for a way), id, role.
pub(crate) type Member = (u64, i64, String);

#[derive(Debug, Clone, Default)]
pub(crate) struct Data {
    /// Id, latitude and longitude in 1e-7 degrees, tags.
    pub(crate) nodes: Vec<(i64, i64, i64, Tags)>,
    /// Id, nodes, tags.
    pub(crate) ways: Vec<(i64, Vec<i64>, Tags)>,
    /// Members, tags.
    pub(crate) relations: Vec<(Vec<Member>, Tags)>,
}

/// How the same data may be written.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Form {
    pub(crate) zlib: bool,
    /// Nodes one by one instead of dense.
    pub(crate) plain_nodes: bool,
    /// Relations and ways before nodes.
    pub(crate) upside_down: bool,
}

impl Data {
    pub(crate) fn file(&self, form: Form) -> Vec<u8> {
        let mut header = Vec::new();
        bytes(&mut header, 4, b"OsmSchema-V0.6");
        bytes(&mut header, 4, b"DenseNodes");
        let mut file = blob("OSMHeader", &header, form.zlib);
        let mut blocks = [self.node_block(form), self.way_block(), self.relation_block()];
        if form.upside_down {
            blocks.reverse();
        }
        for block in blocks {
            file.extend(blob("OSMData", &block, form.zlib));
        }
        file
    }

    fn node_block(&self, form: Form) -> Vec<u8> {
        let mut strings = Strings::default();
        let mut group = Vec::new();
        if form.plain_nodes {
            for (id, lat, lon, tags) in &self.nodes {
                let mut node = Vec::new();
                number(&mut node, 1, zigzag(*id));
                strings.tags(&mut node, tags);
                number(&mut node, 8, zigzag(*lat));
                number(&mut node, 9, zigzag(*lon));
                bytes(&mut group, 1, &node);
            }
        } else {
            let mut dense = Vec::new();
            bytes(&mut dense, 1, &deltas(self.nodes.iter().map(|node| node.0)));
            bytes(&mut dense, 8, &deltas(self.nodes.iter().map(|node| node.1)));
            bytes(&mut dense, 9, &deltas(self.nodes.iter().map(|node| node.2)));
            let mut texts = Vec::new();
            for (_, _, _, tags) in &self.nodes {
                for (key, value) in tags {
                    varint(&mut texts, strings.index(key));
                    varint(&mut texts, strings.index(value));
                }
                varint(&mut texts, 0);
            }
            bytes(&mut dense, 10, &texts);
            bytes(&mut group, 2, &dense);
        }
        strings.block(&group)
    }

    fn way_block(&self) -> Vec<u8> {
        let mut strings = Strings::default();
        let mut group = Vec::new();
        for (id, nodes, tags) in &self.ways {
            let mut way = Vec::new();
            number(&mut way, 1, *id as u64);
            strings.tags(&mut way, tags);
            bytes(&mut way, 8, &deltas(nodes.iter().copied()));
            bytes(&mut group, 3, &way);
        }
        strings.block(&group)
    }

    fn relation_block(&self) -> Vec<u8> {
        let mut strings = Strings::default();
        let mut group = Vec::new();
        for (id, (members, tags)) in self.relations.iter().enumerate() {
            let mut relation = Vec::new();
            number(&mut relation, 1, id as u64 + 1);
            strings.tags(&mut relation, tags);
            let (mut roles, mut kinds) = (Vec::new(), Vec::new());
            for (kind, _, role) in members {
                varint(&mut roles, strings.index(role));
                varint(&mut kinds, *kind);
            }
            bytes(&mut relation, 8, &roles);
            bytes(&mut relation, 9, &deltas(members.iter().map(|member| member.1)));
            bytes(&mut relation, 10, &kinds);
            bytes(&mut group, 4, &relation);
        }
        strings.block(&group)
    }
}

/// A blob with its header.
pub(crate) fn blob(kind: &str, content: &[u8], zlib: bool) -> Vec<u8> {
    let mut blob = Vec::new();
    if zlib {
        number(&mut blob, 2, content.len() as u64);
        bytes(&mut blob, 3, &compress_to_vec_zlib(content, 6));
    } else {
        bytes(&mut blob, 1, content);
    }
    frame(kind, &blob)
}

/// The header of a blob, and the blob.
pub(crate) fn frame(kind: &str, blob: &[u8]) -> Vec<u8> {
    let mut header = Vec::new();
    bytes(&mut header, 1, kind.as_bytes());
    number(&mut header, 3, blob.len() as u64);
    let mut file = (header.len() as u32).to_be_bytes().to_vec();
    file.extend(header);
    file.extend(blob);
    file
}

#[derive(Default)]
struct Strings(Vec<String>);

impl Strings {
    /// The first text is empty: 0 ends the tags of a dense node.
    fn index(&mut self, text: &str) -> u64 {
        let known = self.0.iter().position(|known| known == text);
        let index = known.unwrap_or_else(|| {
            self.0.push(text.to_owned());
            self.0.len() - 1
        });
        index as u64 + 1
    }

    fn tags(&mut self, element: &mut Vec<u8>, tags: &Tags) {
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        for (key, value) in tags {
            varint(&mut keys, self.index(key));
            varint(&mut values, self.index(value));
        }
        bytes(element, 2, &keys);
        bytes(element, 3, &values);
    }

    fn block(&self, group: &[u8]) -> Vec<u8> {
        let mut table = Vec::new();
        bytes(&mut table, 1, b"");
        for text in &self.0 {
            bytes(&mut table, 1, text.as_bytes());
        }
        let mut block = Vec::new();
        bytes(&mut block, 1, &table);
        bytes(&mut block, 2, group);
        block
    }
}

fn deltas(values: impl Iterator<Item = i64>) -> Vec<u8> {
    let (mut list, mut last) = (Vec::new(), 0);
    for value in values {
        varint(&mut list, zigzag(value - last));
        last = value;
    }
    list
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

pub(crate) fn number(message: &mut Vec<u8>, field: u64, value: u64) {
    varint(message, field << 3);
    varint(message, value);
}

pub(crate) fn bytes(message: &mut Vec<u8>, field: u64, value: &[u8]) {
    varint(message, field << 3 | 2);
    varint(message, value.len() as u64);
    message.extend_from_slice(value);
}

fn varint(list: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        list.push(value as u8 | 0x80);
        value >>= 7;
    }
    list.push(value as u8);
}
