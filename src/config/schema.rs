//! Settings as data: the `settings!` macro declares a struct and, from the same words, the
//! table of its keys with their meaning, default and example. Reading, the list of known
//! keys and the annotated `config/lykta.toml` all come from that one table.

/// The keys of one TOML table.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) keys: &'static [Key],
    /// Whether its keys exclude each other and one of them must be there.
    pub(super) one_of: bool,
}

/// One key.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    /// Its meaning, line by line.
    pub(super) doc: &'static [&'static str],
    /// What holds when nobody sets it, as TOML.
    pub(super) default: Option<&'static str>,
    /// What it could look like, as TOML.
    pub(super) example: Option<&'static str>,
    /// Whether it may be left out though it has no default.
    pub(super) optional: bool,
    pub(super) shape: Shape,
}

/// What stands behind a key.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// A value, or a list of values.
    Value,
    /// A number or a truth value (or a list of them): what TOML writes without quotes.
    Bare,
    /// A value that is never shown.
    Secret,
    /// A table.
    Table(&'static Table),
    /// A list of tables.
    Tables(&'static Table),
    /// Tables by a name that whoever writes them chooses.
    Named(&'static Table),
}

/// Declares settings: `field: Type` (required unless the type is an `Option`),
/// `field: Type = default`, and for the annotated configuration `field: Type => example`.
/// Defaults and examples are literals that read the same in Rust and in TOML.
macro_rules! settings {
    ($(
        $(#[doc = $table_doc:literal])*
        pub struct $name:ident {$(
            $(#[doc = $doc:literal])*
            pub $field:ident: $type:ty $(= $default:tt)? $(=> $example:tt)?,
        )*}
    )*) => {$(
        $(#[doc = $table_doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {$(
            $(#[doc = $doc])*
            $(#[doc = concat!("\n\nDefault: `", stringify!($default), "`.")])?
            pub $field: $type,
        )*}

        impl $name {
            /// The keys under which the other says something else.
            pub fn differing(&self, other: &Self) -> Vec<&'static str> {
                let all = [$((stringify!($field), self.$field != other.$field)),*];
                all.into_iter().filter_map(|(key, differs)| differs.then_some(key)).collect()
            }
        }

        impl $crate::config::read::Read for $name {
            const SHAPE: $crate::config::schema::Shape =
                $crate::config::schema::Shape::Table(&$crate::config::schema::Table {
                    keys: &[$($crate::config::schema::Key {
                        name: stringify!($field),
                        doc: &[$($doc),*],
                        default: $crate::config::schema::first(&[$(stringify!($default))?]),
                        example: $crate::config::schema::first(&[$(stringify!($example))?]),
                        optional: <$type as $crate::config::read::Read>::OPTIONAL,
                        shape: <$type as $crate::config::read::Read>::SHAPE,
                    }),*],
                    one_of: false,
                });

            fn read(
                reader: &mut $crate::config::read::Reader,
                path: &$crate::config::key::KeyPath,
                value: &figment::value::Value,
            ) -> Option<Self> {
                let $crate::config::schema::Shape::Table(table) = Self::SHAPE else {
                    return None;
                };
                let found = reader.table(path, value, table)?;
                let mut keys = table.keys.iter();
                // all keys are read before any is missed, so that all that is wrong is told
                $(let $field = reader.key::<$type>(path, found, keys.next()?);)*
                Some(Self { $($field: $field?),* })
            }
        }
    )*};
}
pub(super) use settings;

impl Table {
    /// What to write into it, in words: what is needed, or what can be where nothing is.
    pub(super) fn contents(&self) -> String {
        let is_needed = |key: &&Key| key.default.is_none() && !key.optional;
        let needed = || self.keys.iter().filter(is_needed).map(|key| key.name);
        let names: Vec<&str> = match needed().next() {
            Some(_) => needed().collect(),
            None => self.keys.iter().map(|key| key.name).collect(),
        };
        names.join(if self.one_of { " or " } else { ", " })
    }
}

/// The one text of a list of at most one.
pub(super) const fn first(texts: &[&'static str]) -> Option<&'static str> {
    match texts {
        [text, ..] => Some(*text),
        [] => None,
    }
}
