//! Sources of settings, one on top of the other: files, then the environment.
//!
//! figment merges the layers and remembers for each value which layer it came from;
//! `toml_edit` remembers for each value of a file where it stands. Together they answer
//! "who says so?" for every setting.

use super::file::{File, plain};
use super::key::{KeyPath, Step};
use super::problem::{Excerpt, Place};
use figment::value::{Dict, Map, Tag, Value};
use figment::{Figment, Metadata, Profile, Provider};
use std::path::Path;

/// The start of the names of environment variables that are settings.
pub(super) const PREFIX: &str = "LYKTA_";
/// The log filter, read before any setting.
const RESERVED: &str = "LYKTA_LOG";

/// The environment as a layer. `LYKTA_CONCENTRATOR__LISTEN` is `concentrator.listen`.
pub(super) struct Environment(Dict);

impl Environment {
    pub(super) fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut root = Dict::new();
        for (name, text) in variables {
            let Some(path) = name.strip_prefix(PREFIX).filter(|_| name != RESERVED) else {
                continue;
            };
            let steps: Vec<String> = path.split("__").map(str::to_ascii_lowercase).collect();
            insert(&mut root, &steps, parse_variable(&text));
        }
        Self(root)
    }
}

/// Text, unless it looks like a list, a table or quoted text of TOML.
fn parse_variable(text: &str) -> Value {
    let text = text.trim();
    match text.parse().ok().filter(|_| text.starts_with(['[', '{', '"', '\''])) {
        Some(value) => plain(&value),
        None => text.into(),
    }
}

fn insert(table: &mut Dict, steps: &[String], value: Value) {
    match steps {
        [] => {}
        [key] => {
            table.insert(key.clone(), value);
        }
        [key, rest @ ..] => {
            let mut inner = match table.remove(key) {
                Some(Value::Dict(_, inner)) => inner,
                _ => Dict::new(),
            };
            insert(&mut inner, rest, value);
            table.insert(key.clone(), inner.into());
        }
    }
}

impl Provider for Environment {
    fn metadata(&self) -> Metadata {
        Metadata::named("environment")
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Map::from([(Profile::Default, self.0.clone())]))
    }
}

/// All layers, merged.
pub(super) struct Layers {
    files: Vec<File>,
    figment: Figment,
    merged: Value,
}

/// What of a setting is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Key,
    Value,
}

impl Layers {
    /// Merges files, lowest first, and the environment on top. Lists are joined.
    pub(super) fn new(files: Vec<File>, environment: Environment) -> Self {
        let figment = files
            .iter()
            .fold(Figment::new(), |figment, file| figment.admerge(file))
            .admerge(environment);
        let merged = figment
            .data()
            .ok()
            .and_then(|mut profiles| profiles.remove(&Profile::Default))
            .unwrap_or_default();
        Self { files, figment, merged: merged.into() }
    }

    /// The root table.
    pub(super) fn merged(&self) -> &Value {
        &self.merged
    }

    /// The place of a setting, and its source line.
    pub(super) fn locate(&self, path: &KeyPath, part: Part) -> (Place, Option<Excerpt>) {
        let (tag, steps, depth) = self.trace(path);
        match self.file_of(tag) {
            Some(file) => match file.find_deepest(&steps) {
                Some(found) => {
                    let missing = depth < path.steps().len();
                    let span = match part {
                        Part::Value if !missing => found.value,
                        _ => found.key,
                    };
                    file.show(span)
                }
                None => (Place::File(file.path.clone()), None),
            },
            None if tag == Tag::Default => {
                (self.files.first().map_or(Place::Default, |f| Place::File(f.path.clone())), None)
            }
            None => (Place::Environment(variable(path)), None),
        }
    }

    /// The file that a setting comes from.
    pub(super) fn file(&self, path: &KeyPath) -> Option<&Path> {
        Some(&self.file_of(self.trace(path).0)?.path)
    }

    fn file_of(&self, tag: Tag) -> Option<&File> {
        let path = self.figment.get_metadata(tag)?.source.as_ref()?.file_path()?;
        self.files.iter().find(|file| file.path == path)
    }

    /// The layer of the deepest existing part of a path, the path with elements counted
    /// within that layer, and how many steps exist.
    fn trace(&self, path: &KeyPath) -> (Tag, Vec<Step>, usize) {
        let mut value = &self.merged;
        let mut tag = Tag::Default;
        let mut steps = Vec::new();
        for (depth, step) in path.steps().iter().enumerate() {
            let next = match (step, value) {
                (Step::Key(key), Value::Dict(_, table)) => {
                    table.get(key).map(|value| (step.clone(), value))
                }
                (Step::Element(index), Value::Array(_, list)) => list.get(*index).map(|value| {
                    let earlier = list[..*index].iter();
                    let own = earlier.filter(|other| other.tag() == value.tag()).count();
                    (Step::Element(own), value)
                }),
                _ => None,
            };
            let Some((step, next)) = next else {
                // what is missing is missing in the file, not in the layer on top of it
                steps.extend(path.steps()[depth..].iter().cloned());
                return (tag, steps, depth);
            };
            steps.push(step);
            value = next;
            tag = value.tag();
        }
        (tag, steps, path.steps().len())
    }
}

fn variable(path: &KeyPath) -> String {
    let keys = path.steps().iter().map_while(|step| match step {
        Step::Key(key) => Some(key.to_ascii_uppercase()),
        Step::Element(_) => None,
    });
    format!("{PREFIX}{}", keys.collect::<Vec<_>>().join("__"))
}
