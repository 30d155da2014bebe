//! One TOML file: its values, where each stands, and what to say when it is no TOML.

use super::discretion::Discreet;
use super::key::Step;
use super::problem::{Excerpt, Problem};
use super::secret;
use super::source::Place;
use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider, Source};
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml_edit::{ImDocument, Item, TableLike};

/// A TOML file as it was read.
pub(super) struct File {
    pub(super) path: PathBuf,
    text: String,
    /// The byte at which each line begins.
    lines: Vec<usize>,
    document: ImDocument<String>,
}

impl File {
    /// Reads and parses a file.
    pub(super) fn read(path: &Path) -> Result<Self, Box<Problem>> {
        let bytes = std::fs::read(path).map_err(|e| Box::new(unreadable(path, &e)))?;
        let text = String::from_utf8(bytes).map_err(|e| {
            let good = e.utf8_error().valid_up_to();
            let before = &e.as_bytes()[..good];
            let line = before.iter().filter(|b| **b == b'\n').count() + 1;
            let start = before.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
            let column = String::from_utf8_lossy(&before[start..]).chars().count() + 1;
            Box::new(Problem {
                place: Place::Line { file: path.to_owned(), line, column },
                ..Problem::of_file(
                    path,
                    "the file is not UTF-8 text",
                    "save it as UTF-8: an editor may have written it as Latin-1",
                )
            })
        })?;
        Self::parse(path, text)
    }

    /// Parses the text of a file.
    pub(super) fn parse(path: &Path, text: String) -> Result<Self, Box<Problem>> {
        let lines: Vec<usize> =
            std::iter::once(0).chain(text.match_indices('\n').map(|(i, _)| i + 1)).collect();
        match ImDocument::parse(text.clone()) {
            Ok(document) => Ok(Self { path: path.to_owned(), text, lines, document }),
            Err(error) => {
                let span = error.span().unwrap_or(0..0);
                let excerpt = Some(excerpt(&text, &lines, &span));
                let place = place(path, &text, &lines, &span);
                Err(Box::new(Problem {
                    place,
                    excerpt,
                    discreet: Some(Discreet::of_text("this is not TOML")),
                    ..Problem::of_file(
                        path,
                        syntax_error(error.message()),
                        syntax_help(error.message(), &text, &span),
                    )
                }))
            }
        }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The place of a range of bytes.
    pub(super) fn place(&self, span: &Range<usize>) -> Place {
        place(&self.path, &self.text, &self.lines, span)
    }

    /// The source line of a range of bytes.
    pub(super) fn excerpt(&self, span: &Range<usize>) -> Excerpt {
        excerpt(&self.text, &self.lines, span)
    }

    /// A problem for each key of the root table but `only`.
    pub(super) fn other_keys(&self, only: &str) -> Vec<Problem> {
        let root = self.document.as_table();
        let others = root.iter().filter(|(name, _)| *name != only);
        others
            .map(|(name, item)| {
                let key = root.key(name).and_then(|key| key.span());
                let span = key.or_else(|| item.span()).unwrap_or(0..0);
                let (place, excerpt) = (self.place(&span), Some(self.excerpt(&span)));
                let what = format!("only [[{only}]] belongs here, not `{name}`");
                let help = "move it to lykta.toml or to conf.d";
                Problem {
                    place,
                    key: name.to_owned(),
                    excerpt,
                    discreet: Some(Discreet::of_text("only [[device]] belongs here")),
                    ..Problem::of_file(&self.path, what, help)
                }
            })
            .collect()
    }

    /// Where the deepest existing part of a path stands: its key (or, of a list's element,
    /// its value) and its value. Elements are counted within this file.
    fn find(&self, steps: &[Step]) -> Option<Found> {
        let mut found = None;
        let mut table: Option<&dyn TableLike> = Some(self.document.as_table());
        let mut list: Option<&Item> = None;
        for step in steps {
            let item = match step {
                Step::Key(name) => {
                    let (key, item) = table.and_then(|t| get_key_value(t, name))?;
                    let value = item.span().or_else(|| key.span());
                    found = Found::new(key.span().or_else(|| value.clone()), value).or(found);
                    table = item.as_table_like();
                    list = Some(item);
                    continue;
                }
                Step::Element(index) => (list?, *index),
            };
            let (list_item, index) = item;
            let element = match list_item {
                Item::ArrayOfTables(tables) => {
                    let element = tables.get(index)?;
                    table = Some(element);
                    element.span()
                }
                _ => {
                    let element = list_item.as_array()?.get(index)?;
                    table = element.as_inline_table().map(|t| t as &dyn TableLike);
                    element.span()
                }
            };
            list = None;
            found = Found::new(element.clone(), element).or(found);
        }
        found
    }

    /// As [`File::find`], but of the deepest part that exists.
    pub(super) fn find_deepest(&self, steps: &[Step]) -> Option<Found> {
        (1..=steps.len()).rev().find_map(|depth| {
            let found = self.find(&steps[..depth])?;
            // of a missing key only the table's header can be shown
            Some(if depth == steps.len() {
                found
            } else {
                Found { value: found.key.clone(), ..found }
            })
        })
    }
}

/// Where a setting stands in a file, in bytes.
pub(super) struct Found {
    pub(super) key: Range<usize>,
    pub(super) value: Range<usize>,
}

impl Found {
    fn new(key: Option<Range<usize>>, value: Option<Range<usize>>) -> Option<Self> {
        Some(Self { key: key?, value: value? })
    }
}

fn get_key_value<'a>(
    table: &'a dyn TableLike,
    name: &str,
) -> Option<(&'a toml_edit::Key, &'a Item)> {
    Some((table.key(name)?, table.get(name)?))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Problem {
    use std::io::ErrorKind;
    let (what, help) = match error.kind() {
        ErrorKind::NotFound if path.is_symlink() => {
            ("this link leads nowhere".to_owned(), "mend it, or remove it".to_owned())
        }
        ErrorKind::NotFound => (
            "there is no such file".to_owned(),
            "give the right path with --config FILE, or create it: every setting is explained in /usr/share/doc/lykta/lykta.toml (config/lykta.toml)".to_owned(),
        ),
        ErrorKind::PermissionDenied => (
            "no permission to read the file".to_owned(),
            format!("run as root or as the service's user, or: {}", secret::let_read(path)),
        ),
        ErrorKind::IsADirectory => {
            ("this is a directory, not a file".to_owned(), "name the file itself".to_owned())
        }
        _ => (format!("the file cannot be read: {error}"), "check the disk and the path".to_owned()),
    };
    Problem::of_file(path, what, help)
}

/// The parser's message in one line.
fn syntax_error(message: &str) -> String {
    let lines: Vec<&str> = message.lines().filter(|l| !l.trim().is_empty()).collect();
    format!("this is not TOML: {}", lines.join("; "))
}

/// The mistakes that people make in TOML, by the line in which the parser gave up.
fn syntax_help(message: &str, text: &str, span: &Range<usize>) -> String {
    let start = text[..floor(text, span.start)].rfind('\n').map_or(0, |i| i + 1);
    let line = text[start..].lines().next().unwrap_or_default().trim();
    let value = line.split_once('=').map(|(_, value)| value.trim());
    let help = match value {
        _ if message.contains("duplicate key") => {
            "it stands further up already: keep one of the two"
        }
        _ if line.starts_with('[') && !line.contains(']') => "close the table's name with ] or ]]",
        None if line.contains(':') => "TOML writes key = \"value\", with = and not :",
        None if !line.is_empty() && !line.starts_with('[') => {
            "each line is key = value, or [table]"
        }
        Some("") => "a value is missing after =",
        Some(v) if v.starts_with(['"', '\'']) && v.matches(['"', '\'']).count() % 2 == 1 => {
            "close the text with the same quote that opens it"
        }
        Some(v) if v.starts_with(|c: char| c.is_alphanumeric() || c == '/') => {
            "write text in double quotes: key = \"value\""
        }
        Some(v) if v.contains('[') && !v.contains(']') => "close the list with ]",
        Some(v) if v.contains('{') && v.matches('{').count() != v.matches('}').count() => {
            "an inline table { … } must close on the same line"
        }
        _ => "look at the marked place and just before it for a missing quote or bracket",
    };
    help.to_owned()
}

/// The line of a byte, from 0, and where it begins.
fn line_of(lines: &[usize], at: usize) -> (usize, usize) {
    let line = lines.partition_point(|start| *start <= at).saturating_sub(1);
    (line, lines.get(line).copied().unwrap_or(0))
}

fn place(path: &Path, text: &str, lines: &[usize], span: &Range<usize>) -> Place {
    let at = floor(text, span.start);
    let (line, start) = line_of(lines, at);
    let column = text[start..at].chars().count() + 1;
    Place::Line { file: path.to_owned(), line: line + 1, column }
}

fn excerpt(text: &str, lines: &[usize], span: &Range<usize>) -> Excerpt {
    let at = floor(text, span.start);
    let (_, start) = line_of(lines, at);
    let line = text[start..].lines().next().unwrap_or_default();
    let meant = text[at..floor(text, span.end.max(at))].lines().next().unwrap_or_default();
    Excerpt::new(line, text[start..at].chars().count(), meant.chars().count())
}

fn floor(text: &str, at: usize) -> usize {
    text.floor_char_boundary(at)
}

/// A file as a layer.
impl Provider for &File {
    fn metadata(&self) -> Metadata {
        Metadata::from("file", Source::File(self.path.clone()))
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Map::from([(Profile::Default, dict(self.document.as_table()))]))
    }
}

fn dict(table: &dyn TableLike) -> Dict {
    table.iter().filter_map(|(key, item)| Some((key.to_owned(), value(item)?))).collect()
}

fn value(item: &Item) -> Option<Value> {
    Some(match item {
        Item::None => return None,
        Item::Table(table) => dict(table).into(),
        Item::ArrayOfTables(tables) => {
            tables.iter().map(|table| dict(table).into()).collect::<Vec<Value>>().into()
        }
        Item::Value(value) => plain(value),
    })
}

/// A TOML value as figment's.
pub(super) fn plain(value: &toml_edit::Value) -> Value {
    use toml_edit::Value as Toml;
    match value {
        Toml::String(text) => text.value().as_str().into(),
        Toml::Integer(number) => (*number.value()).into(),
        Toml::Float(number) => (*number.value()).into(),
        Toml::Boolean(yes) => (*yes.value()).into(),
        // no setting is a date; as text it gets the error of a wrong text
        Toml::Datetime(date) => date.value().to_string().into(),
        Toml::Array(list) => list.iter().map(plain).collect::<Vec<Value>>().into(),
        Toml::InlineTable(table) => dict(table).into(),
    }
}
