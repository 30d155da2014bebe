//! What holds, and who said so: what `lykta check` prints.

use std::fmt;
use std::path::PathBuf;

/// Where a setting came from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A file, as a whole.
    File(PathBuf),
    /// A line in a file; line and column count from 1, the column in characters.
    Line {
        /// The file.
        file: PathBuf,
        /// Its line.
        line: usize,
        /// The character in that line.
        column: usize,
    },
    /// An environment variable.
    Environment(String),
    /// Nobody set it.
    Default,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => write!(f, "{}", file.display()),
            Self::Line { file, line, column } => write!(f, "{}:{line}:{column}", file.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Default => f.write_str("default"),
        }
    }
}

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
