//! From merged layers to typed settings, noting everything that is wrong on the way.

use super::file::plain;
use super::key::{KeyPath, Part};
use super::schema::{Key, Shape, Table};
use figment::value::{Dict, Value};
use std::borrow::Cow;
use std::collections::HashSet;

/// A fault before its place is looked up.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) path: KeyPath,
    pub(super) part: Part,
    /// Borrowed where it is the program's own, word by word.
    pub(super) what: Cow<'static, str>,
    pub(super) help: String,
    /// A setting that belongs to it, and why.
    pub(super) see: Option<(KeyPath, String)>,
    /// See [`super::problem::Problem::of_machine`].
    pub(super) of_machine: bool,
}

/// A setting that holds, for the list that `lykta check` prints.
pub(super) struct Leaf {
    pub(super) path: KeyPath,
    /// As TOML; a secret is masked.
    pub(super) value: String,
    pub(super) is_default: bool,
    pub(super) is_secret: bool,
}

/// A type that can be read from a setting.
pub(super) trait Read: Sized {
    /// What stands behind a key of this type.
    const SHAPE: Shape = Shape::Value;
    /// Whether the key may be left out.
    const OPTIONAL: bool = false;

    /// Reads a value. What is wrong with it is told to the reader; then there is no result.
    fn read(reader: &mut Reader, path: &KeyPath, value: &Value) -> Option<Self>;

    /// What is there without the key.
    fn absent() -> Option<Self> {
        None
    }
}

/// Collects what is wrong and what holds.
#[derive(Default)]
pub(super) struct Reader {
    pub(super) faults: Vec<Fault>,
    pub(super) leaves: Vec<Leaf>,
    /// Elements of lists that could not be read and are left out.
    pub(super) unread: HashSet<KeyPath>,
    /// Keys of which a mistyped form was found: that they are missing adds nothing.
    mistyped: HashSet<KeyPath>,
}

impl Reader {
    /// The paths of the elements that were read of a list of the root table, in order.
    pub(super) fn elements(&self, list: &str) -> impl Iterator<Item = KeyPath> {
        self.elements_of(KeyPath::default().key(list))
    }

    /// As [`Reader::elements`], of a list anywhere.
    pub(super) fn elements_of(&self, list: KeyPath) -> impl Iterator<Item = KeyPath> {
        (0..).map(move |i| list.element(i)).filter(|path| !self.unread.contains(path))
    }

    /// Whether all elements of a list could be read.
    pub(super) fn is_whole(&self, list: &KeyPath) -> bool {
        !self.unread.iter().any(|path| path.is_element_of(list))
    }

    /// Notes what is wrong with a value.
    pub(super) fn wrong(
        &mut self,
        path: &KeyPath,
        what: impl Into<Cow<'static, str>>,
        help: impl Into<String>,
    ) {
        self.fault(path, Part::Value, what, help);
    }

    /// Notes what is wrong with a key.
    pub(super) fn wrong_key(
        &mut self,
        path: &KeyPath,
        what: impl Into<Cow<'static, str>>,
        help: impl Into<String>,
    ) {
        self.fault(path, Part::Key, what, help);
    }

    fn fault(
        &mut self,
        path: &KeyPath,
        part: Part,
        what: impl Into<Cow<'static, str>>,
        help: impl Into<String>,
    ) {
        let (what, help) = (what.into(), help.into());
        self.faults.push(Fault {
            path: path.clone(),
            part,
            what,
            help,
            see: None,
            of_machine: false,
        });
    }

    /// The table behind a value; its unknown keys are noted.
    pub(super) fn table<'v>(
        &mut self,
        path: &KeyPath,
        value: &'v Value,
        schema: &Table,
    ) -> Option<&'v Dict> {
        let Some(table) = value.as_dict() else {
            let help = format!("write a table with {}", schema.contents());
            self.wrong(path, format!("expected a table, found {}", kind(value)), help);
            return None;
        };
        for name in table.keys().filter(|name| !schema.keys.iter().any(|key| key.name == **name)) {
            let names: Vec<&str> = schema.keys.iter().map(|key| key.name).collect();
            self.mistyped.extend(nearest(name, &names).map(|meant| path.key(meant)));
            let help = known(name, &names, "known keys here");
            self.wrong_key(&path.key(name), format!("unknown key `{name}`"), help);
        }
        Some(table)
    }

    /// The value of one key, its default, or a noted fault.
    pub(super) fn key<T: Read>(&mut self, path: &KeyPath, table: &Dict, key: &Key) -> Option<T> {
        let at = path.key(key.name);
        let default;
        let (value, is_default) = match (table.get(key.name), key.default) {
            (Some(value), _) => (value, false),
            (None, Some(text)) => {
                default = text.parse().map(|value| plain(&value)).unwrap_or_else(|_| text.into());
                (&default, true)
            }
            (None, None) if key.optional => return T::absent(),
            (None, None) if self.mistyped.contains(&at) => return None,
            (None, None) => {
                self.wrong(&at, format!("`{}` is missing", key.name), addition(key));
                return None;
            }
        };
        let read = T::read(self, &at, value)?;
        let (shown, is_secret) = match T::SHAPE {
            Shape::Value | Shape::Bare => (toml(value), false),
            Shape::Secret => ("…".to_owned(), true),
            Shape::Table(_) | Shape::Tables(_) | Shape::Named(_) => return Some(read),
        };
        self.leaves.push(Leaf { path: at, value: shown, is_default, is_secret });
        Some(read)
    }

    pub(super) fn text<'v>(&mut self, path: &KeyPath, value: &'v Value) -> Option<&'v str> {
        let text = value.as_str();
        if text.is_none() {
            let help = "put the value in double quotes";
            self.wrong(path, format!("expected text, found {}", kind(value)), help);
        }
        text
    }

    pub(super) fn parsed<T, E>(
        &mut self,
        path: &KeyPath,
        value: &Value,
        parse: impl FnOnce(&str) -> Result<T, E>,
        fault: impl FnOnce(&str, E) -> (String, String),
    ) -> Option<T> {
        let text = self.text(path, value)?;
        parse(text)
            .map_err(|error| {
                let (what, help) = fault(text, error);
                self.wrong(path, what, help);
            })
            .ok()
    }
}

/// How to add a missing key.
fn addition(key: &Key) -> String {
    let name = key.name;
    match (key.shape, key.example) {
        (Shape::Table(table) | Shape::Tables(table) | Shape::Named(table), _) => {
            format!("add the table `{name}` with {}", table.contents())
        }
        (_, Some(example)) => format!("add it, such as {name} = {example}"),
        (_, None) => "add it".to_owned(),
    }
}

/// What to do about a name that is not among the known ones.
pub(super) fn known(name: &str, names: &[&str], all: &str) -> String {
    match nearest(name, names) {
        Some(near) => format!("did you mean `{near}`?"),
        None if names.is_empty() => format!("{all}: none"),
        None => format!("{all}: {}", names.join(", ")),
    }
}

/// The name that a mistyped one was probably meant to be.
fn nearest<'n>(name: &str, names: &[&'n str]) -> Option<&'n str> {
    let lower = name.to_ascii_lowercase().replace('-', "_");
    names
        .iter()
        .map(|&known| {
            (strsim::jaro_winkler(&lower, &known.to_ascii_lowercase().replace('-', "_")), known)
        })
        // below this, suggestions amuse more than they help
        .filter(|(likeness, _)| *likeness > 0.84)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

/// What a value is, in words.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(..) | Value::Char(..) => "text",
        Value::Bool(..) => "true or false",
        Value::Num(..) => "a number",
        Value::Empty(..) => "nothing",
        Value::Dict(..) => "a table",
        Value::Array(..) => "a list",
    }
}

/// A value as TOML in one line.
fn toml(value: &Value) -> String {
    match value {
        Value::String(_, text) => toml_edit::Value::from(text.as_str()).to_string(),
        Value::Array(_, list) => {
            format!("[{}]", list.iter().map(toml).collect::<Vec<_>>().join(", "))
        }
        Value::Num(_, number) => number
            .to_i128()
            .map(|n| n.to_string())
            .or_else(|| number.to_f64().map(|n| n.to_string()))
            .unwrap_or_default(),
        Value::Bool(_, yes) => yes.to_string(),
        Value::Dict(..) => "{ … }".to_owned(),
        Value::Char(..) | Value::Empty(..) => String::new(),
    }
}
