//! Reading a payload byte by byte, and writing outputs, without a way to panic.

use super::{DecodeError, Object};
use serde_json::Value;

/// The bytes of a payload that have not been read yet.
pub(super) struct Frame<'a> {
    bytes: &'a [u8],
    at: usize,
    expected: &'static str,
}

impl<'a> Frame<'a> {
    /// A payload; `expected` is what the format asks for, said when bytes are missing.
    pub(super) fn new(bytes: &'a [u8], expected: &'static str) -> Self {
        Self { bytes, at: 0, expected }
    }

    /// A payload of exactly `length` bytes.
    pub(super) fn exact(
        bytes: &'a [u8],
        length: usize,
        expected: &'static str,
    ) -> Result<Self, DecodeError> {
        if bytes.len() == length {
            Ok(Self::new(bytes, expected))
        } else {
            Err(DecodeError::Length { expected, found: bytes.len() })
        }
    }

    /// Where the next byte stands, from 0.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Whether every byte has been read.
    pub(super) fn is_empty(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// The next `N` bytes.
    pub(super) fn take<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let next = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk::<N>);
        let next =
            next.ok_or(DecodeError::Length { expected: self.expected, found: self.bytes.len() })?;
        self.at += N;
        Ok(*next)
    }

    /// The next byte.
    pub(super) fn byte(&mut self) -> Result<u8, DecodeError> {
        self.take::<1>().map(|[byte]| byte)
    }

    /// Whether the next byte is this one, which is then read.
    pub(super) fn skip(&mut self, byte: u8) -> bool {
        let is_it = self.bytes.get(self.at) == Some(&byte);
        self.at += usize::from(is_it);
        is_it
    }

    /// The next two bytes, most significant first.
    pub(super) fn u16_be(&mut self) -> Result<u16, DecodeError> {
        self.take().map(u16::from_be_bytes)
    }

    /// The next two bytes, least significant first.
    pub(super) fn u16_le(&mut self) -> Result<u16, DecodeError> {
        self.take().map(u16::from_le_bytes)
    }

    /// The next byte as a state: its name, or an error that names the field.
    pub(super) fn state(
        &mut self,
        field: &'static str,
        names: &[&'static str],
    ) -> Result<&'static str, DecodeError> {
        let at = self.at;
        let byte = self.byte()?;
        let name = names.get(usize::from(byte)).copied();
        name.ok_or(DecodeError::Unknown { what: field, byte, at })
    }
}

/// A signed count of tenths, as most sensors send a temperature.
pub(super) fn tenths(raw: u16) -> f64 {
    f64::from(raw.cast_signed()) / 10.0
}

/// Adds an output. One payload may say the same thing twice, but not two things: which of
/// them is true is not known here.
pub(super) fn put(
    object: &mut Object,
    name: &'static str,
    value: impl Into<Value>,
) -> Result<(), DecodeError> {
    let value = value.into();
    match object.get(name) {
        Some(before) if *before != value => Err(DecodeError::Contradiction { name }),
        _ => {
            object.insert(name.to_owned(), value);
            Ok(())
        }
    }
}
