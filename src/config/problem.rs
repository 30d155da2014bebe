//! What is wrong with a configuration, where, and what to do about it.

use super::discretion::Discreet;
use super::mask;
use super::source::{Place, Sources};
use std::fmt;
use std::path::PathBuf;

/// A source line with the part that is meant. Secrets in it are already masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    line: String,
    /// First character that is meant, from 0.
    from: usize,
    /// How many characters are meant, at least 1.
    width: usize,
}

impl Excerpt {
    /// The part of `line` that begins at character `from` and is `width` characters wide.
    pub(super) fn new(line: &str, from: usize, width: usize) -> Self {
        // a tab would put the caret in the wrong place
        let line: String = mask::line(line).replace(['\t', '\r'], " ");
        let length = line.chars().count();
        let from = from.min(length);
        let width = width.min(length - from).max(1);
        Self { line: line.trim_end().to_owned(), from, width }
    }
}

/// One thing that is wrong or doubtful. It never contains a key or a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// Which setting, such as `device[3].profile`; empty when it is about a whole file.
    pub key: String,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub help: String,
    /// Another place that belongs to it, and why: the first of two equal ids.
    pub see: Option<(Place, String)>,
    /// The source line, where there is one.
    pub excerpt: Option<Excerpt>,
    /// Whether the text may be right and the machine is not as it says: a disk that is not
    /// there yet. Trying again may help.
    pub of_machine: bool,
    /// What may be told of it where names must not be. Without, all of it may.
    pub(super) discreet: Option<Discreet>,
}

impl Problem {
    /// A problem of a whole file.
    pub(super) fn of_file(
        file: impl Into<PathBuf>,
        what: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self {
            place: Place::File(file.into()),
            key: String::new(),
            what: what.into(),
            help: help.into(),
            see: None,
            excerpt: None,
            of_machine: false,
            discreet: None,
        }
    }
}

/// What is shown of a problem.
pub(super) struct Layout<'a> {
    pub(super) what: &'a str,
    pub(super) place: &'a Place,
    pub(super) excerpt: Option<&'a Excerpt>,
    pub(super) key: &'a str,
    pub(super) see: Option<&'a (Place, String)>,
    pub(super) help: &'a str,
}

impl fmt::Display for Problem {
    /// Several lines, without the leading `error: ` or `warning: `:
    ///
    /// ```text
    /// unknown key `gatway`
    ///   --> /etc/lykta/lykta.toml:1:1
    ///    |
    ///  1 | gatway = "gw-1"
    ///    | ^^^^^^
    ///    = help: did you mean `gateway`?
    /// ```
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, place, key, help, .. } = self;
        let (excerpt, see) = (self.excerpt.as_ref(), self.see.as_ref());
        Layout { what, place, excerpt, key, see, help }.fmt(f)
    }
}

impl fmt::Display for Layout<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.what)?;
        let number = match self.place {
            Place::Line { line, .. } => line.to_string(),
            _ => String::new(),
        };
        let margin = " ".repeat(number.len());
        writeln!(f, " {margin}--> {}", self.place)?;
        if let Some(Excerpt { line, from, width }) = self.excerpt {
            writeln!(f, " {margin} |")?;
            writeln!(f, " {number} | {line}")?;
            writeln!(f, " {margin} | {}{}", " ".repeat(*from), "^".repeat(*width))?;
        }
        if !self.key.is_empty() {
            writeln!(f, " {margin} = key:  {}", self.key)?;
        }
        if let Some((place, why)) = self.see {
            writeln!(f, " {margin} = see:  {place}: {why}")?;
        }
        write!(f, " {margin} = help: {}", self.help)
    }
}

/// Everything that is wrong with a configuration; at least one problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    /// What must be mended, in the order of the files.
    pub errors: Vec<Problem>,
    /// What else is doubtful.
    pub warnings: Vec<Problem>,
    /// The settings that could be read all the same.
    pub sources: Sources,
}

impl Problems {
    /// Whether nothing is wrong with the text itself.
    pub fn are_of_machine(&self) -> bool {
        self.errors.iter().all(|problem| problem.of_machine)
    }

    /// Each in these words, and how many they are.
    pub(super) fn tell(
        &self,
        f: &mut fmt::Formatter<'_>,
        words: impl Fn(&Problem) -> String,
    ) -> fmt::Result {
        for problem in &self.errors {
            writeln!(f, "error: {}\n", words(problem))?;
        }
        match self.errors.len() {
            1 => write!(f, "1 error in the configuration"),
            n => write!(f, "{n} errors in the configuration"),
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tell(f, Problem::to_string)
    }
}

impl std::error::Error for Problems {}
