//! The annotated configuration, from the words beside the settings themselves.

use super::read::Read;
use super::schema::{Key, Shape, Table};
use super::settings::Settings;
use std::fmt::Write;

const HEAD: &str = "\
# lykta.toml: everything that can be set, with its meaning.
#
# `#key = value` shows a default: remove the # to change it. Text after `# ` is explanation.
# Read on top of this file: conf.d/*.toml and devices.d/*.toml beside it, then the
# environment (LYKTA_CONCENTRATOR__LISTEN is `listen` in [concentrator]). Lists are joined.
# Look at the result with `lykta check`.
";

/// The text of `config/lykta.toml`.
pub fn template() -> String {
    let mut text = HEAD.to_owned();
    if let Shape::Table(table) = Settings::SHAPE {
        section(&mut text, table, "", "");
    }
    text
}

/// One table: first its values, then the tables in it. `off` stands before what is not
/// part of the least configuration.
fn section(text: &mut String, table: &Table, path: &str, off: &str) {
    for key in table.keys {
        if let Shape::Value | Shape::Bare | Shape::Secret = key.shape {
            text.push('\n');
            explain(text, key);
            value(text, key, off);
        }
    }
    for key in table.keys {
        let (inner, open, close) = match key.shape {
            Shape::Table(inner) => (inner, "[", "]"),
            Shape::Tables(inner) => (inner, "[[", "]]"),
            Shape::Named(inner) => (inner, "[", "]"),
            Shape::Value | Shape::Bare | Shape::Secret => continue,
        };
        let path =
            if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
        let (path, close) = match (key.shape, key.name) {
            (Shape::Named(_), "bin") => (format!("{path}.1739"), close),
            (Shape::Named(_), _) => (format!("{path}.tours"), close),
            _ => (path, close),
        };
        // an example would be a device, a resident, a radio, a modem, a bin or a plan of nobody's
        let nobodys =
            matches!(key.name, "device" | "resident" | "radio" | "modem" | "bin" | "plan");
        let off = if nobodys { "#" } else { off };
        text.push('\n');
        // of tables that exclude each other, the first can be switched on
        let first = table.keys.first().filter(|first| table.one_of && first.name != key.name);
        let off = if first.is_some() { "# " } else { off };
        if let Some(first) = first {
            let _ = writeln!(text, "# Or, instead of `{}`:", first.name);
        }
        explain(text, key);
        let _ = writeln!(text, "{off}{open}{path}{close}");
        section(text, inner, &path, off);
    }
}

fn explain(text: &mut String, key: &Key) {
    for line in key.doc {
        let _ = writeln!(text, "#{line}");
    }
}

fn value(text: &mut String, key: &Key, off: &str) {
    let name = key.name;
    let _ = match (key.default, key.example) {
        (Some(default), _) => writeln!(text, "#{name} = {default}"),
        (None, Some(example)) if !key.optional => writeln!(text, "{off}{name} = {example}"),
        (None, Some(example)) => writeln!(text, "# For example: {name} = {example}"),
        (None, None) => writeln!(text, "# Not set."),
    };
}
