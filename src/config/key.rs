//! Where a setting stands: `device[3].activation.abp.dev_addr`.

use std::fmt;

/// One level of a [`KeyPath`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Step {
    /// A key of a table.
    Key(String),
    /// An element of a list, from 0, counted over all sources together.
    Element(usize),
}

/// The way from the root to one setting.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct KeyPath(Vec<Step>);

impl KeyPath {
    /// The path of `key` in the table at this path.
    pub(super) fn key(&self, key: &str) -> Self {
        self.then(Step::Key(key.to_owned()))
    }

    /// The path of one element of the list at this path.
    pub(super) fn element(&self, index: usize) -> Self {
        self.then(Step::Element(index))
    }

    /// The path of the table or list that it is in.
    pub(super) fn parent(&self) -> Self {
        let all = self.0.len().saturating_sub(1);
        Self(self.0[..all].to_vec())
    }

    fn then(&self, step: Step) -> Self {
        let mut steps = Vec::with_capacity(self.0.len() + 1);
        steps.extend_from_slice(&self.0);
        steps.push(step);
        Self(steps)
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.0
    }

    /// Whether this is the path of an element of the list at `list`.
    pub(super) fn is_element_of(&self, list: &Self) -> bool {
        matches!(self.0.split_last(), Some((Step::Element(_), rest)) if rest == list.0)
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if i == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Element(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// What of a setting is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Key,
    Value,
}

#[cfg(test)]
mod tests {
    use super::KeyPath;

    #[test]
    fn a_path_reads_as_people_write_it() {
        let path = KeyPath::default().key("device").element(3).key("activation").key("abp");
        assert_eq!(path.to_string(), "device[3].activation.abp");
    }
}
