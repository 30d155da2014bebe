//! Device profiles: those that come with lykta, then `profiles/*.toml`, with their scripts in
//! `codecs/`.

use super::discretion::Discreet;
use super::file::File;
use super::problem::Problem;
use crate::codec::builtin::PROFILES;
use crate::codec::script::Script;
use crate::codec::{Codec, CodecError};
use crate::device::Profile;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// All profiles by name, with their codecs.
#[derive(Debug, Default)]
pub struct Profiles {
    pub(super) by_name: HashMap<String, Arc<Profile>>,
    /// Their codecs.
    pub codecs: HashMap<String, Codec>,
    /// The files that they come from, and their scripts.
    pub(super) files: Vec<PathBuf>,
}

impl Profiles {
    /// The built-in profiles and those of a directory with a configuration, which override; and
    /// what is wrong with them.
    pub fn of(base: &Path) -> (Self, Vec<Problem>) {
        let mut errors = Vec::new();
        let files = super::load::toml_files(&base.join("profiles"), &mut errors);
        let (profiles, problems) = Self::load(&files, &base.join("codecs"));
        errors.extend(problems);
        (profiles, errors)
    }

    /// The built-in profiles and those of `files`, which override, with the scripts of a
    /// directory.
    pub(super) fn load(files: &[PathBuf], scripts: &Path) -> (Self, Vec<Problem>) {
        let mut profiles = Self::default();
        let mut problems = Vec::new();
        for (name, text) in PROFILES {
            let path = Path::new("built-in profile").join(name);
            // its script is that of the program: one of the same name may be another's
            problems.extend(
                File::parse(&path, (*text).to_owned())
                    .and_then(|f| profiles.add(&f, None))
                    .err()
                    .map(|p| *p),
            );
        }
        for path in files {
            profiles.files.push(path.clone());
            let file = File::read(path);
            problems.extend(file.and_then(|f| profiles.add(&f, Some(scripts))).err().map(|p| *p));
        }
        (profiles, problems)
    }

    fn add(&mut self, file: &File, scripts: Option<&Path>) -> Result<(), Box<Problem>> {
        let profile: Profile = toml_edit::de::from_str(file.text()).map_err(|e| {
            let span = e.span().unwrap_or(0..0);
            let (place, excerpt) = (file.place(&span), Some(file.excerpt(&span)));
            let what = e.message().lines().collect::<Vec<_>>().join("; ");
            let help = "compare with a built-in profile of a similar sensor";
            // nobody knows after whom a key is called that somebody wrote
            let discreet = Some(Discreet::of_text("this profile does not hold"));
            Box::new(Problem {
                place,
                excerpt,
                discreet,
                ..Problem::of_file(&file.path, what, help)
            })
        })?;
        let name = profile.name.clone();
        let profile = Arc::new(profile);
        let script = scripts.zip(profile.codec.as_ref()).map(|(scripts, name)| scripts.join(name));
        self.files.extend(script.filter(|script| script.exists()));
        let codec = codec(&profile, scripts).map_err(|(what, help)| {
            let what = format!("profile {name} cannot be used: {what}");
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

/// A profile's codec: with the operator's script, or with one that comes with lykta. Or what is
/// wrong, and what to do.
fn codec(profile: &Arc<Profile>, scripts: Option<&Path>) -> Result<Codec, (String, String)> {
    let compare = || "compare with a built-in profile of a similar sensor".to_owned();
    let (Some(name), Some(scripts)) = (&profile.codec, scripts) else {
        return Codec::new(Arc::clone(profile)).map_err(|e| (e.to_string(), compare()));
    };
    if Path::new(name).file_name() != Some(name.as_ref()) {
        let what = format!("codec {name:?} is no name of a file");
        return Err((what, format!("name a file in {}", scripts.display())));
    }
    let path = scripts.join(name);
    let result = if path.exists() {
        let script = Script::read(&path).map_err(|e| {
            let help = "let the service's user read it, or put the vendor's file there again";
            (format!("{}: {e}", path.display()), help.to_owned())
        })?;
        Codec::of_script(Arc::clone(profile), script)
    } else {
        Codec::new(Arc::clone(profile))
    };
    result.map_err(|e| {
        let help = match &e {
            CodecError::Changed { .. } => format!(
                "put the former {} back, or see what the new one says and make the profile anew: \
                 lykta codec install FILE.js --profile {}",
                path.display(),
                profile.name
            ),
            CodecError::NoCodec(_) => format!("put it into {}", scripts.display()),
            _ => compare(),
        };
        (e.to_string(), help)
    })
}

#[cfg(test)]
mod tests {
    use super::Profiles;
    use std::path::Path;

    #[test]
    fn the_built_in_profiles_are_sound() {
        let (_, problems) = Profiles::load(&[], Path::new("nowhere"));
        assert_eq!(problems, []);
    }
}
