//! Words that must not leave the machine.

use crate::config::{self, DEFAULT_FILE, Sources, mask};
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Shorter ones would be found in every text.
const LEAST: usize = 2;

/// A file with a key or a password is not longer than this.
const LONGEST: u64 = 4096;

/// What sensors are called where nobody gave them a name of their own.
const PLAIN: [&str; 6] = ["bed", "chair", "motion", "door", "toilet", "button"];

/// What is taken out of a text.
#[derive(Debug, Default)]
pub(super) struct Words {
    /// Names and secrets, with what stands in their place; the longest first.
    words: Vec<(String, String)>,
    /// EUIs and addresses as they came, each with its number.
    numbers: HashMap<String, usize>,
}

impl Words {
    /// Those of this configuration, and of the files with secrets that it names.
    pub(super) fn of(sources: &Sources) -> Self {
        Self::among(sources.iter().map(|setting| (setting.key.clone(), plain(&setting.value))))
    }

    /// Those of files that are no TOML as a whole, line by line.
    pub(super) fn of_texts(texts: &[String]) -> Self {
        Self::among(texts.iter().flat_map(|text| {
            let mut table = "";
            text.lines().filter_map(move |line| {
                let line = line.trim();
                if line.starts_with('[') {
                    let name = line.trim_start_matches('[').split(']').next();
                    table = name.unwrap_or_default().trim();
                }
                let (leaf, value) = line.split_once('=')?;
                Some((format!("{table}.{}", leaf.trim()), plain(value.trim())))
            })
        }))
    }

    /// Those among settings, each with its key.
    fn among(settings: impl Iterator<Item = (String, String)>) -> Self {
        let mut words = Vec::new();
        for (key, value) in settings {
            let (table, leaf) = (key.split(['.', '[']).next(), key.rsplit('.').next());
            let (table, leaf) = (table.unwrap_or_default(), leaf.unwrap_or_default());
            let with = match (table, leaf) {
                ("resident", "id") | ("device", "resident") => "[resident]",
                ("resident" | "device", "id" | "name" | "sensor") => "[name]",
                ("plan", "id" | "name" | "address" | "lat" | "lon") => "[place]",
                ("bin", "lat" | "lon" | "address" | "name") => "[place]",
                (_, "username" | "client_id") => "[user]",
                (_, leaf) if leaf.ends_with("_file") => {
                    words.extend(secret(&value).map(|secret| (secret, "[secret]".to_owned())));
                    continue;
                }
                _ => continue,
            };
            if value.chars().count() >= LEAST && !PLAIN.contains(&value.as_str()) {
                words.push((value, with.to_owned()));
            }
        }
        words.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then_with(|| a.cmp(b)));
        words.dedup();
        Self { words, numbers: HashMap::new() }
    }

    /// The text without them.
    pub(super) fn without(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        for (word, with) in &self.words {
            if text.contains(word.as_str()) {
                text = replaced(&text, word, with);
            }
        }
        let mut whole = String::with_capacity(text.len());
        for line in text.split_inclusive('\n') {
            whole.push_str(&mask::line(&self.numbered(line)));
        }
        whole
    }

    /// EUIs and addresses (16 or 8 hexadecimal digits) become numbers, the same ones the same.
    fn numbered(&mut self, line: &str) -> String {
        let mut whole = String::with_capacity(line.len());
        let mut rest = line;
        while let Some(begin) = rest.find(|c: char| c.is_alphanumeric()) {
            whole.push_str(&rest[..begin]);
            let token = &rest[begin..];
            let end = token.find(|c: char| !c.is_alphanumeric()).unwrap_or(token.len());
            let (token, after) = token.split_at(end);
            let is_hex = token.chars().all(|c| c.is_ascii_hexdigit());
            // a number is none, unless it is as long as an EUI
            let is_number = token.chars().all(|c| c.is_ascii_digit());
            if is_hex && (token.len() == 16 || token.len() == 8 && !is_number) {
                let next = self.numbers.len() + 1;
                let n = self.numbers.entry(token.to_ascii_lowercase()).or_insert(next);
                whole.push_str(&format!("[id {n}]"));
            } else {
                whole.push_str(token);
            }
            rest = after;
        }
        whole + rest
    }
}

/// The text that a TOML value is, a comment behind it or not.
fn plain(value: &str) -> String {
    let parsed = format!("value = {value}").parse::<toml_edit::DocumentMut>();
    let text = parsed.ok().and_then(|line| Some(line.get("value")?.as_str()?.to_owned()));
    text.unwrap_or_else(|| value.to_owned())
}

/// What a file with a secret says, as far as it can be read.
fn secret(file: &str) -> Option<String> {
    let mut text = String::new();
    let file = Path::new(file);
    let base = Path::new(DEFAULT_FILE).parent().unwrap_or(file);
    let mut files = [base.join(file), config::stored(file)].into_iter();
    // nothing else, such as a pipe that nobody writes to
    let found = files.find(|file| file.metadata().is_ok_and(|file| file.is_file()))?;
    File::open(found).ok()?.take(LONGEST).read_to_string(&mut text).ok()?;
    let first = text.lines().next()?.trim();
    (first.chars().count() >= LEAST).then(|| first.to_owned())
}

/// With each whole word replaced: what goes on with a letter or digit is another one.
fn replaced(text: &str, word: &str, with: &str) -> String {
    let mut whole = String::with_capacity(text.len());
    let mut done = 0;
    for (at, found) in text.match_indices(word) {
        let before = text[..at].chars().next_back().is_some_and(char::is_alphanumeric);
        let after = text[at + found.len()..].chars().next().is_some_and(char::is_alphanumeric);
        if !before && !after {
            whole.push_str(&text[done..at]);
            whole.push_str(with);
            done = at + found.len();
        }
    }
    whole + &text[done..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(all: &[(&str, &str)]) -> Words {
        let words = all.iter().map(|(word, with)| ((*word).to_owned(), (*with).to_owned()));
        Words { words: words.collect(), numbers: HashMap::new() }
    }

    #[test]
    fn whole_words_go_and_parts_of_others_stay() {
        let mut words = words(&[("hunter2", "[secret]"), ("r1", "[resident]")]);
        let text = "error1 of r1, \"r1\": hunter2";
        assert_eq!(words.without(text), "error1 of [resident], \"[resident]\": [secret]");
    }

    #[test]
    fn the_same_device_has_the_same_number_however_it_is_written() {
        let mut words = Words::default();
        let text = "device 70b3d50700001739 at 260B1739, 70B3D50700001739 on 20260115\n";
        assert_eq!(words.without(text), "device [id 1] at [id 2], [id 1] on 20260115\n");
        assert_eq!(words.without("260b1739"), "[id 2]");
    }

    #[test]
    fn keys_and_payloads_go_in_hexadecimal() {
        let key = "00112233445566778899aabbccddeeff";
        assert!(!Words::default().without(&format!("key {key} and more")).contains("0011"));
    }
}
