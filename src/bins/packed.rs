//! Short lists as text: a bin's memory has to fit beside thousands of others on a small card.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What goes without saying is not said.
pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// What is kept in a few bytes.
pub(super) trait Pack: Sized {
    /// How many.
    const SIZE: usize;
    /// Adds exactly so many.
    fn put(&self, bytes: &mut Vec<u8>);
    /// Takes them from the beginning of a slice that has so many.
    fn take(bytes: &[u8]) -> Self;
}

impl Pack for u8 {
    const SIZE: usize = 1;

    fn put(&self, bytes: &mut Vec<u8>) {
        bytes.push(*self);
    }

    fn take(bytes: &[u8]) -> Self {
        bytes[0]
    }
}

/// A list that serialises as Base64.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Packed<T>(pub(super) Vec<T>);

impl<T> Default for Packed<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Packed<T> {
    /// Adds one at the end; no more than so many remain.
    pub(super) fn push(&mut self, new: T, most: usize) {
        self.0.push(new);
        let over = self.0.len().saturating_sub(most);
        self.0.drain(..over);
    }
}

impl<T: Pack> Serialize for Packed<T> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::with_capacity(self.0.len() * T::SIZE);
        self.0.iter().for_each(|item| item.put(&mut bytes));
        s.serialize_str(&STANDARD_NO_PAD.encode(bytes))
    }
}

impl<'de, T: Pack> Deserialize<'de> for Packed<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        let bytes = STANDARD_NO_PAD.decode(text).map_err(serde::de::Error::custom)?;
        Ok(Self(bytes.chunks_exact(T::SIZE).map(T::take).collect()))
    }
}
