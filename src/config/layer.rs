//! Sources of settings, one on top of the other: files, then the environment.
//!
//! figment merges the layers and remembers for each value which layer it came from;
//! `toml_edit` remembers for each value of a file where it stands. Together they answer
//! "who says so?" for every setting.

use super::file::{File, plain};
use super::key::{KeyPath, Part, Step};
use super::problem::Excerpt;
use super::read::Read;
use super::schema::Shape;
use super::settings::Settings;
use super::source::Place;
use figment::value::{Dict, Map, Tag, Value};
use figment::{Figment, Metadata, Profile, Provider};
use std::ops::Range;
use std::path::Path;

/// The start of the names of environment variables that are settings.
const PREFIX: &str = "LYKTA_";
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
            let value = match shape(&steps) {
                Some(Shape::Bare) => parse_bare(&text),
                _ => parse_variable(&text),
            };
            insert(&mut root, &steps, value);
        }
        Self(root)
    }

    /// Whether it sets nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
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

/// A number or a truth value: in the environment everything is text.
fn parse_bare(text: &str) -> Value {
    let text = text.trim();
    text.parse().map_or_else(|_| text.into(), |value| plain(&value))
}

/// What stands behind the keys of a variable's name.
fn shape(steps: &[String]) -> Option<Shape> {
    steps.iter().try_fold(Settings::SHAPE, |shape, step| match shape {
        Shape::Table(table) => table.keys.iter().find(|key| key.name == step).map(|key| key.shape),
        // whatever it is called
        Shape::Named(table) => Some(Shape::Table(table)),
        _ => None,
    })
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
        match self.find(path, part) {
            Ok((file, span)) => (file.place(&span), Some(file.excerpt(&span))),
            Err(place) => (place, None),
        }
    }

    /// The place of a setting.
    pub(super) fn place(&self, path: &KeyPath, part: Part) -> Place {
        self.find(path, part).map_or_else(|place| place, |(file, span)| file.place(&span))
    }

    /// The bytes of a setting, or its place where there are none.
    fn find(&self, path: &KeyPath, part: Part) -> Result<(&File, Range<usize>), Place> {
        let (tag, steps, depth) = self.trace(path);
        let Some(file) = self.file_of(tag) else {
            // a missing key is missed in the main file, if there is one
            let main = self.files.first().filter(|_| tag == Tag::Default);
            return Err(match main {
                Some(file) => Place::File(file.path.clone()),
                None => Place::Environment(variable(path)),
            });
        };
        let Some(found) = file.find_deepest(&steps) else {
            return Err(Place::File(file.path.clone()));
        };
        let missing = depth < path.steps().len();
        Ok((file, if part == Part::Value && !missing { found.value } else { found.key }))
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
                    // each layer's elements stand together, in the order of the layers
                    let first = list[..*index].partition_point(|e| e.tag() != value.tag());
                    (Step::Element(index - first), value)
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
