//! Keys and passwords in files and systemd credentials. Nothing here repeats what it read.

use super::service::Credentials;
use crate::units::{AesKey, StoreKey};
use nix::unistd::Group;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What is wrong with a file, and what to do about it.
pub(crate) type Trouble = (String, String);

/// Where relative names begin.
pub(super) struct Places {
    /// The directory of the main file.
    pub(super) base: PathBuf,
    /// The directory with the credentials that systemd has handed over.
    handed_over: Option<PathBuf>,
    /// Those of the service, for who is not the service.
    credentials: Credentials,
}

impl Places {
    /// The places beside a main file in `base`, and of credentials if systemd hands them over.
    pub(super) fn new(base: &Path, credentials: Option<&Path>) -> Self {
        let handed_over = credentials.map(Path::to_owned);
        Self { base: base.to_owned(), handed_over, credentials: Credentials::default() }
    }

    /// A file as a setting names it: absolute, or relative to the main file.
    pub(super) fn file(&self, name: &Path) -> PathBuf {
        self.base.join(name)
    }

    /// Whether a setting names a systemd credential.
    pub(super) fn is_credential(name: &Path) -> bool {
        name.components().count() == 1 && !name.is_absolute()
    }

    /// As [`Places::file`], but a bare name is a systemd credential.
    pub(super) fn secret(&self, name: &Path) -> Result<PathBuf, Trouble> {
        if !Self::is_credential(name) {
            return Ok(self.file(name));
        }
        let Some(directory) = &self.handed_over else { return self.credentials.find(name) };
        let (file, shown) = (directory.join(name), name.display());
        file.exists().then_some(file).ok_or_else(|| {
            (
                format!("the service has no systemd credential {shown}"),
                // by its name alone: an absolute path that is missing would keep the service from starting
                format!(
                    "put it into /etc/credstore/lykta.{shown}, have LoadCredential={shown}:lykta.{shown} \
                     in the service (for mqtt-password it is there), and start it again; or write a \
                     path with '/'"
                ),
            )
        })
    }
}

/// The text of a small file.
pub(super) fn read(path: &Path) -> Result<String, Trouble> {
    std::fs::read_to_string(path).map_err(|e| unreadable(path, &e))
}

/// As [`read`], for files in which bytes that are not text do no harm: comments in a bundle
/// of certificates.
pub(super) fn read_lossy(path: &Path) -> Result<String, Trouble> {
    let bytes = std::fs::read(path).map_err(|e| unreadable(path, &e))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn unreadable(path: &Path, error: &std::io::Error) -> Trouble {
    use std::io::ErrorKind;
    let file = path.display();
    match error.kind() {
        ErrorKind::NotFound => {
            (format!("there is no file {file}"), "create it, or mend the path".to_owned())
        }
        ErrorKind::PermissionDenied => (
            format!("no permission to read {file}"),
            format!("run as root or as the service's user, or: {}", let_read(path)),
        ),
        ErrorKind::InvalidData => {
            (format!("{file} is not text"), "check that it is the right file".to_owned())
        }
        _ => (format!("{file} cannot be read: {error}"), "check the path and the disk".to_owned()),
    }
}

/// The AES key in a file.
pub(super) fn read_key(path: &Path) -> Result<AesKey, Trouble> {
    read(path)?.trim().parse().map_err(|e| {
        (
            format!("{} holds no AES key: {e}", path.display()),
            "put the 32 hexadecimal digits of the key into it, and nothing else".to_owned(),
        )
    })
}

/// The key of a database in a file.
pub(crate) fn read_store_key(path: &Path) -> Result<StoreKey, Trouble> {
    let holds = |what: String| {
        (
            format!("{} holds no key of a database: {what}", path.display()),
            "put 64 random hexadecimal digits into it, and nothing else: openssl rand -hex 32"
                .to_owned(),
        )
    };
    let key: StoreKey = read(path)?.trim().parse().map_err(|e| holds(format!("{e}")))?;
    well_known(&key.0).map_or(Ok(key), |why| Err(holds(why.to_owned())))
}

/// The password in a file: its first line.
pub(crate) fn read_password(path: &Path) -> Result<String, Trouble> {
    match read(path)?.lines().next() {
        Some(line) if !line.is_empty() => Ok(line.to_owned()),
        _ => Err((
            format!("the first line of {} is empty", path.display()),
            "put the password into the first line".to_owned(),
        )),
    }
}

/// How the service is let read a file or a directory, and nobody else. What is another group's, is
/// its for a reason.
pub(super) fn let_read(path: &Path) -> String {
    let is_others = |gid| gid != 0 && Some(gid) != service_gid();
    if path.metadata().is_ok_and(|it| it.is_file() && is_others(it.gid())) {
        return give_a_copy(path);
    }
    let (file, mode) = (quoted(path), if path.is_dir() { "g+rx" } else { "640" });
    format!("chgrp lykta {file}; chmod {mode} {file}")
}

/// The group of the service, as the package makes it.
pub(crate) fn service_gid() -> Option<u32> {
    Group::from_name("lykta").ok().flatten().map(|group| group.gid.as_raw())
}

/// How the service gets a file that stays closed to it.
pub(super) fn give_a_copy(file: &Path) -> String {
    let file = quoted(file);
    format!("install -m 640 -g lykta {file} /etc/lykta/ # and name that one in its place")
}

/// A path in a line for a shell.
pub(super) fn quoted(path: &Path) -> String {
    let path = path.to_string_lossy();
    shlex::try_quote(&path).map_or_else(|_| path.to_string(), |quoted| quoted.into_owned())
}

/// A warning when more than the owner and the group may read a file.
pub(super) fn exposed(path: &Path) -> Option<Trouble> {
    let open_to_all = |path: &Path, mode| path.metadata().is_ok_and(|it| it.mode() & mode != 0);
    let real = path.canonicalize().ok()?;
    let is_exposed = open_to_all(&real, 0o004)
        && real.ancestors().skip(1).all(|directory| open_to_all(directory, 0o001));
    is_exposed.then(|| {
        let what = format!("every user of this machine can read {}", path.display());
        (what, format!("chmod o= {}", quoted(path)))
    })
}

/// Why a key is no secret: it is printed in data sheets or was never set.
pub(super) fn well_known(key: &[u8]) -> Option<&'static str> {
    /// FIPS-197 appendix A.1 and RFC 4493; the default of many LoRaWAN stacks.
    const EXAMPLE: [u8; 16] = 0x2b7e_1516_28ae_d2a6_abf7_1588_09cf_4f3c_u128.to_be_bytes();
    let counts_up = key.windows(2).all(|w| w[1] == w[0].wrapping_add(1));
    let counts_down = key.windows(2).all(|w| w[1] == w[0].wrapping_sub(1));
    match key {
        [0, rest @ ..] if rest.iter().all(|b| *b == 0) => Some("the key is all zeros"),
        [first, rest @ ..] if rest.iter().all(|b| b == first) => {
            Some("the key is one byte repeated")
        }
        _ if key == EXAMPLE => Some("the key is the example of the AES standard"),
        _ if counts_up || counts_down => Some("the key only counts up or down"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_helps_can_be_pasted() {
        let line = |path| let_read(Path::new(path));
        assert_eq!(line("/etc/lykta/k"), "chgrp lykta /etc/lykta/k; chmod 640 /etc/lykta/k");
        assert_eq!(line("/a b/; k"), "chgrp lykta '/a b/; k'; chmod 640 '/a b/; k'");
    }

    #[test]
    fn keys_that_everyone_knows() {
        let of = |text: &str| well_known(&text.parse::<AesKey>().expect("a key").0);
        assert_eq!(of("00000000000000000000000000000000"), Some("the key is all zeros"));
        assert_eq!(of("abababababababababababababababab"), Some("the key is one byte repeated"));
        assert!(of("2B7E151628AED2A6ABF7158809CF4F3C").is_some());
        assert!(of("000102030405060708090a0b0c0d0e0f").is_some());
        assert_eq!(of("8f1d4a90b7c3e25660a1f4d2798bce03"), None);
    }
}
