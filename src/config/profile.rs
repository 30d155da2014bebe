//! Device profiles: those that come with lykta, then `profiles/*.toml`.

use super::file::File;
use super::problem::Problem;
use crate::codec::Codec;
use crate::codec::builtin::PROFILES;
use crate::device::Profile;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// All profiles by name, with their codecs.
#[derive(Default)]
pub(super) struct Profiles {
    pub(super) by_name: HashMap<String, Arc<Profile>>,
    pub(super) codecs: HashMap<String, Codec>,
}

impl Profiles {
    /// The built-in profiles and those of `files`, which override.
    pub(super) fn load(files: &[PathBuf]) -> (Self, Vec<Problem>) {
        let mut profiles = Self::default();
        let mut problems = Vec::new();
        for (name, text) in PROFILES {
            let path = Path::new("built-in profile").join(name);
            problems.extend(
                File::parse(&path, (*text).to_owned())
                    .and_then(|f| profiles.add(&f))
                    .err()
                    .map(|p| *p),
            );
        }
        for path in files {
            problems.extend(File::read(path).and_then(|f| profiles.add(&f)).err().map(|p| *p));
        }
        (profiles, problems)
    }

    fn add(&mut self, file: &File) -> Result<(), Box<Problem>> {
        let profile: Profile = toml_edit::de::from_str(file.text()).map_err(|e| {
            let span = e.span().unwrap_or(0..0);
            let (place, excerpt) = (file.place(&span), Some(file.excerpt(&span)));
            let what = e.message().lines().collect::<Vec<_>>().join("; ");
            let help = "compare with a built-in profile of a similar sensor";
            Box::new(Problem { place, excerpt, ..Problem::of_file(&file.path, what, help) })
        })?;
        let name = profile.name.clone();
        let profile = Arc::new(profile);
        let codec = Codec::new(Arc::clone(&profile)).map_err(|e| {
            let help = "compare with a built-in profile of a similar sensor";
            let what = format!("profile {name} cannot be used: {e}");
            Box::new(Problem::of_file(&file.path, what, help))
        })?;
        self.by_name.insert(name.clone(), profile);
        self.codecs.insert(name, codec);
        Ok(())
    }

    /// All names, sorted.
    pub(super) fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.by_name.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::Profiles;

    #[test]
    fn the_built_in_profiles_are_sound() {
        let (_, problems) = Profiles::load(&[]);
        assert_eq!(problems, []);
    }
}
