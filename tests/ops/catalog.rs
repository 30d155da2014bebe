//! What `journalctl -x` explains: every message, in both languages.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The fields that lykta attaches to its messages.
const FIELDS: [&str; 13] = [
    "LYKTA_BIN",
    "LYKTA_CODEC",
    "LYKTA_CONCENTRATOR",
    "LYKTA_DEVICE",
    "LYKTA_PLAN",
    "LYKTA_RADIO",
    "LYKTA_FILE",
    "LYKTA_LOGIN",
    "LYKTA_REASON",
    "LYKTA_RESIDENTS",
    "LYKTA_TENANT",
    "LYKTA_USER",
    "LYKTA_WHAT",
];

/// One explanation.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    headers: BTreeMap<String, String>,
    text: String,
    /// The journal fields that its words need.
    pub(crate) fields: BTreeSet<String>,
}

/// The entries of a catalog file by their id. Panics where journald would ignore something.
pub(crate) fn read(name: &str) -> BTreeMap<String, Entry> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd").join(name);
    let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
    let mut current: Option<String> = None;
    let mut in_text = false;
    let mut before = String::new();
    for line in std::fs::read_to_string(file).unwrap().lines() {
        if let Some(id) = line.strip_prefix("-- ") {
            assert!(
                before.is_empty() || current.is_none(),
                "without a blank line before it journald takes {id} for text"
            );
            assert!(entries.insert(id.to_owned(), Entry::default()).is_none(), "{id} twice");
            (current, in_text) = (Some(id.to_owned()), false);
        } else if line.starts_with(['#', ';']) {
            assert!(
                current.is_none(),
                "journald takes this line of an entry for a comment: {line}"
            );
        } else if let Some(entry) = current.as_ref().and_then(|id| entries.get_mut(id)) {
            match line.split_once(": ") {
                Some((key, value)) if !in_text => {
                    entry.headers.insert(key.to_owned(), value.to_owned());
                }
                _ => {
                    in_text = true;
                    entry.text.push_str(line);
                    entry.text.push('\n');
                }
            }
            let placeholders = line.split('@').skip(1).step_by(2).map(str::to_owned);
            entry.fields.extend(placeholders);
        }
        line.clone_into(&mut before);
    }
    entries
}

#[test]
fn every_message_is_explained_in_both_languages() {
    let known: BTreeSet<_> = lykta::message::ALL.iter().map(|(_, id)| (*id).to_owned()).collect();
    for name in ["lykta.catalog", "lykta.sv.catalog"] {
        let entries = read(name);
        let explained: BTreeSet<_> = entries.keys().cloned().collect();
        let missing: Vec<_> = known.difference(&explained).collect();
        assert!(missing.is_empty(), "{name} does not explain {missing:?} of src/message.rs");
        let unknown: Vec<_> = explained.difference(&known).collect();
        assert!(unknown.is_empty(), "{name} explains {unknown:?}, which lykta never says");
        for (id, entry) in entries {
            assert!(!entry.headers["Subject"].is_empty(), "{name}: {id}");
            assert_eq!(entry.headers["Defined-By"], "lykta", "{name}: {id}");
            // what happened and what it means, then what to do
            assert!(entry.text.trim().contains("\n\n"), "{name}: {id} has one paragraph only");
            for field in &entry.fields {
                assert!(FIELDS.contains(&field.as_str()), "{name}: {id}: @{field}@ is no field");
            }
        }
    }
}

#[test]
fn both_languages_use_the_same_fields() {
    let swedish = read("lykta.sv.catalog");
    for (id, entry) in read("lykta.catalog") {
        assert_eq!(entry.fields, swedish[&id].fields, "{id}");
        assert_ne!(entry.text, swedish[&id].text, "{id} is not translated");
    }
}
