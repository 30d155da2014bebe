//! What holds, and who said so: the list that `lykta check` prints.

use super::problem::Place;

/// Every setting that holds, with its source. What has neither value nor default is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources(pub(super) Vec<Effective>);

/// One setting that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// Its key, such as `tenant[0].upstream.urls`.
    pub key: String,
    /// Its value as TOML; `…` instead of a secret.
    pub value: String,
    /// Who said so.
    pub place: Place,
}

impl Sources {
    /// All settings, in the order in which `lykta.toml` explains them.
    pub fn iter(&self) -> impl Iterator<Item = &Effective> {
        self.0.iter()
    }

    /// Where a setting came from, by its key.
    pub fn of(&self, key: &str) -> Option<&Place> {
        self.0.iter().find(|setting| setting.key == key).map(|setting| &setting.place)
    }
}
