//! Lines and their fields, with the numbers in them.

use super::FileError;
use std::str::SplitAsciiWhitespace;

/// The largest number that a time or a load may be, in the problem's unit.
pub const LARGEST: u64 = 1_000_000_000;

/// One line of a text, and how far it is read.
#[derive(Debug, Clone)]
pub struct Line<'a> {
    number: usize,
    words: SplitAsciiWhitespace<'a>,
}

/// The lines of a text that are not empty. What follows `comment` on a line is left out.
pub fn lines<'a>(
    text: &'a str,
    comment: Option<&'a str>,
) -> impl Iterator<Item = (usize, &'a str)> {
    text.lines().enumerate().filter_map(move |(i, line)| {
        let line = match comment.and_then(|mark| line.split_once(mark)) {
            Some((before, _)) => before,
            None => line,
        };
        let line = line.trim();
        (!line.is_empty()).then_some((i + 1, line))
    })
}

impl<'a> Line<'a> {
    /// The fields of `text`, line `number` of its file.
    #[must_use]
    pub fn new(number: usize, text: &'a str) -> Self {
        Self { number, words: text.split_ascii_whitespace() }
    }

    /// Its number in the file, from 1.
    #[must_use]
    pub fn number(&self) -> usize {
        self.number
    }

    /// The next field as it stands.
    ///
    /// # Errors
    /// When the line has no more.
    pub fn word(&mut self, field: &str) -> Result<&'a str, FileError> {
        self.words
            .next()
            .ok_or_else(|| FileError::MissingField { line: self.number, field: field.to_owned() })
    }

    /// The next field, unless the line has no more.
    pub fn more(&mut self) -> Option<&'a str> {
        self.words.next()
    }

    /// That the line is at its end.
    ///
    /// # Errors
    /// When it is not.
    pub fn end(&mut self, field: &str) -> Result<(), FileError> {
        match self.words.next() {
            None => Ok(()),
            Some(word) => Err(self.bad(field, word, "and nothing is expected there")),
        }
    }

    /// An error about a field of this line.
    #[must_use]
    pub fn bad(&self, field: &str, found: &str, expected: impl Into<String>) -> FileError {
        FileError::BadField {
            line: self.number,
            field: field.to_owned(),
            found: found.chars().take(40).collect(),
            expected: expected.into(),
        }
    }

    /// A coordinate.
    ///
    /// # Errors
    /// When the next field is no number, or none that a map could have.
    pub fn coordinate(&mut self, field: &str) -> Result<f64, FileError> {
        let word = self.word(field)?;
        self.real(field, word, -1e9, 1e9)
    }

    /// A real number of this size.
    ///
    /// # Errors
    /// When `word` is none.
    pub fn real(&self, field: &str, word: &str, least: f64, most: f64) -> Result<f64, FileError> {
        match word.parse::<f64>() {
            Ok(number) if (least..=most).contains(&number) => Ok(number),
            Ok(_) => {
                Err(self.bad(field, word, format!("a number from {least} to {most} is expected")))
            }
            Err(_) => Err(self.bad(field, word, "a number is expected")),
        }
    }

    /// A whole number from 0 to `most`; `12.0` is one, too.
    ///
    /// # Errors
    /// When the next field is none.
    pub fn whole(&mut self, field: &str, most: u64) -> Result<u32, FileError> {
        let word = self.word(field)?;
        let (number, rest) = self.decimal(field, word, 0, most)?;
        if rest { Err(self.bad(field, word, "a whole number is expected")) } else { Ok(number) }
    }

    /// A decimal number as a count of its `places`-th decimal, cut off, and whether something was
    /// cut: exactly, as a float could not.
    ///
    /// # Errors
    /// When `word` is no number from 0 to `most`, which counts the same.
    pub fn decimal(
        &self,
        field: &str,
        word: &str,
        places: usize,
        most: u64,
    ) -> Result<(u32, bool), FileError> {
        let wrong = || self.bad(field, word, "a number is expected");
        let (whole, part) = word.split_once('.').unwrap_or((word, ""));
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() && part.is_empty() || !digits(whole) || !digits(part) {
            return Err(wrong());
        }
        let (kept, cut) = part.split_at(part.len().min(places));
        let zeros = "0".repeat(places - kept.len());
        let number = format!("{whole}{kept}{zeros}");
        let number = number.trim_start_matches('0');
        let count = if number.is_empty() { Ok(0) } else { number.parse::<u64>() };
        match count.ok().filter(|count| *count <= most).and_then(|count| u32::try_from(count).ok())
        {
            Some(count) => Ok((count, cut.bytes().any(|b| b != b'0'))),
            None => {
                let most = most / 10_u64.pow(u32::try_from(places).unwrap_or(0));
                Err(self.bad(field, word, format!("at most {most} is expected")))
            }
        }
    }
}
