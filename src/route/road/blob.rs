//! The frames of a `.osm.pbf` file: blobs, each with a block of data.
//!
//! Format: <https://wiki.openstreetmap.org/wiki/PBF_Format>, whose limits are the limits here.

use super::extract::ReadError;
use super::wire::{Malformed, Wire};
use miniz_oxide::inflate::decompress_slice_iter_to_slice;
use std::io::{ErrorKind, Read};

/// The largest header of a blob.
const LARGEST_HEADER: u32 = 64 << 10;

/// The largest blob, packed or unpacked.
const LARGEST_BLOB: usize = 32 << 20;

/// What we understand of what a file may ask of its readers.
const FEATURES: [&[u8]; 2] = [b"OsmSchema-V0.6", b"DenseNodes"];

/// The blocks of a file, one after the other.
#[derive(Debug)]
pub(super) struct Blobs<R> {
    reader: R,
    at: u64,
    packed: Vec<u8>,
    unpacked: Vec<u8>,
}

impl<R: Read> Blobs<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, at: 0, packed: Vec::new(), unpacked: Vec::new() }
    }

    /// The next block of data, and where in the file its blob begins.
    pub(super) fn next(&mut self) -> Result<Option<(u64, &[u8])>, ReadError> {
        loop {
            let at = self.at;
            let Some(length) = self.length()? else { return Ok(None) };
            if length > LARGEST_HEADER {
                return Err(ReadError::Blob { at, what: "its header is longer than 64 KiB" });
            }
            self.fill(length as usize)?;
            let broken = |_: Malformed| ReadError::Blob { at, what: "its header is broken" };
            let (kind, size) = header(&self.packed).map_err(broken)?;
            if size > LARGEST_BLOB {
                return Err(ReadError::Blob { at, what: "it is larger than 32 MiB" });
            }
            self.fill(size)?;
            match kind {
                Kind::Data => {
                    self.unpack(at)?;
                    return Ok(Some((at, &self.unpacked)));
                }
                Kind::Header => {
                    self.unpack(at)?;
                    check_features(&self.unpacked, at)?;
                }
                Kind::Other => {}
            }
        }
    }

    /// The length that each blob begins with; none at the end of the file.
    fn length(&mut self) -> Result<Option<u32>, ReadError> {
        let mut bytes = [0; 4];
        let mut have = 0;
        while have < bytes.len() {
            match self.reader.read(&mut bytes[have..]) {
                Ok(0) if have == 0 => return Ok(None),
                Ok(0) => return Err(ReadError::Truncated { at: self.at + have as u64 }),
                Ok(read) => have += read,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e.into()),
            }
        }
        self.at += bytes.len() as u64;
        Ok(Some(u32::from_be_bytes(bytes)))
    }

    /// Reads so many bytes into `packed`.
    fn fill(&mut self, length: usize) -> Result<(), ReadError> {
        self.packed.clear();
        // what the file claims is not reserved before it is there
        self.reader.by_ref().take(length as u64).read_to_end(&mut self.packed)?;
        self.at += self.packed.len() as u64;
        if self.packed.len() < length {
            return Err(ReadError::Truncated { at: self.at });
        }
        Ok(())
    }

    /// Unpacks the blob in `packed` into `unpacked`.
    fn unpack(&mut self, at: u64) -> Result<(), ReadError> {
        let fault = |what| ReadError::Blob { at, what };
        let broken = |_: Malformed| fault("its frame is broken");
        let (mut raw, mut zlib, mut size) = (None, None, 0);
        let mut fields = Wire(&self.packed);
        while let Some((field, value)) = fields.field().map_err(broken)? {
            match field {
                1 => raw = Some(value.bytes().map_err(broken)?),
                2 => size = value.number().map_err(broken)?,
                3 => zlib = Some(value.bytes().map_err(broken)?),
                4..=7 => return Err(fault("it is compressed, but not with zlib")),
                _ => {}
            }
        }
        self.unpacked.clear();
        match (raw, zlib) {
            (Some(raw), _) => self.unpacked.extend_from_slice(raw),
            (None, Some(zlib)) => {
                let size = usize::try_from(size).ok().filter(|size| *size <= LARGEST_BLOB);
                let size = size.ok_or(fault("it unpacks to more than 32 MiB"))?;
                self.unpacked.resize(size, 0);
                let parts = std::iter::once(zlib);
                match decompress_slice_iter_to_slice(&mut self.unpacked, parts, true, false) {
                    Ok(unpacked) if unpacked == size => {}
                    _ => return Err(fault("its compressed content is broken")),
                }
            }
            (None, None) => return Err(fault("it is empty")),
        }
        Ok(())
    }
}

enum Kind {
    Header,
    Data,
    Other,
}

fn header(bytes: &[u8]) -> Result<(Kind, usize), Malformed> {
    let (mut kind, mut size) = (Kind::Other, None);
    let mut fields = Wire(bytes);
    while let Some((field, value)) = fields.field()? {
        match field {
            1 => {
                kind = match value.bytes()? {
                    b"OSMHeader" => Kind::Header,
                    b"OSMData" => Kind::Data,
                    _ => Kind::Other,
                }
            }
            3 => size = Some(usize::try_from(value.number()?).map_err(|_| Malformed)?),
            _ => {}
        }
    }
    Ok((kind, size.ok_or(Malformed)?))
}

fn check_features(header: &[u8], at: u64) -> Result<(), ReadError> {
    let broken = |_: Malformed| ReadError::Blob { at, what: "its header block is broken" };
    let mut fields = Wire(header);
    while let Some((field, value)) = fields.field().map_err(broken)? {
        if field == 4 {
            let feature = value.bytes().map_err(broken)?;
            if !FEATURES.contains(&feature) {
                let feature = String::from_utf8_lossy(feature).chars().take(64).collect();
                return Err(ReadError::Feature { feature });
            }
        }
    }
    Ok(())
}
