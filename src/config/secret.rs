//! Keys and passwords in files and systemd credentials. Nothing here repeats what it read.

use crate::units::{AesKey, StoreKey};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What is wrong with a file, and what to do about it.
pub(crate) type Trouble = (String, String);

/// Where a shell finds what the service is handed: what its next start will be, or else, of what
/// is encrypted, what it was while it runs. With what the names begin there.
const OUTSIDE: [(&str, &str); 2] =
    [("/etc/credstore", "lykta."), ("/run/credentials/lykta.service", "")];

/// Where relative names begin.
pub(super) struct Places {
    /// The directory of the main file.
    pub(super) base: PathBuf,
    /// Directories with credentials, and with what their names begin there.
    credentials: Vec<(PathBuf, &'static str)>,
    /// Whether systemd has handed them over.
    handed_over: bool,
}

impl Places {
    /// The places beside a main file in `base`, and of credentials if systemd hands them over.
    pub(super) fn new(base: &Path, credentials: Option<&Path>) -> Self {
        let found = match credentials {
            Some(directory) => vec![(directory.to_owned(), "")],
            None => OUTSIDE.map(|(directory, prefix)| (directory.into(), prefix)).into(),
        };
        Self { base: base.to_owned(), credentials: found, handed_over: credentials.is_some() }
    }

    /// A file as a setting names it: absolute, or relative to the main file.
    pub(super) fn file(&self, name: &Path) -> PathBuf {
        self.base.join(name)
    }

    /// As [`Places::file`], but a bare name is a systemd credential.
    pub(super) fn secret(&self, name: &Path) -> Result<PathBuf, Trouble> {
        if name.components().count() > 1 || name.is_absolute() {
            return Ok(self.file(name));
        }
        let shown = name.display();
        let mut places =
            self.credentials.iter().map(|(place, prefix)| place.join(format!("{prefix}{shown}")));
        places.find(|file| file.exists()).ok_or_else(|| match self.handed_over {
            // by its name alone: an absolute path that is missing would keep the service from starting
            true => (
                format!("the service has no systemd credential {shown}"),
                format!(
                    "put it into /etc/credstore/lykta.{shown}, have LoadCredential={shown}:lykta.{shown} \
                     in the service (for mqtt-password it is there), and start it again; or write a \
                     path with '/'"
                ),
            ),
            false => (
                format!("{shown} is a systemd credential, and it is not found here"),
                format!(
                    "as root: put it into /etc/credstore/lykta.{shown}, have \
                     LoadCredential={shown}:lykta.{shown} in the service (for mqtt-password it is \
                     there; one that is encrypted is found while the service runs); or write a path \
                     with '/'"
                ),
            ),
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
            format!("run as the service's user, or: chown lykta {file}; chmod 600 {file}"),
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

/// A warning when more than the owner and the group may read a file.
pub(super) fn exposed(path: &Path) -> Option<Trouble> {
    let mode = std::fs::metadata(path).ok()?.mode();
    (mode & 0o004 != 0).then(|| {
        let file = path.display();
        (format!("every user of this machine can read {file}"), format!("chmod 600 {file}"))
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
    fn keys_that_everyone_knows() {
        let of = |text: &str| well_known(&text.parse::<AesKey>().expect("a key").0);
        assert_eq!(of("00000000000000000000000000000000"), Some("the key is all zeros"));
        assert_eq!(of("abababababababababababababababab"), Some("the key is one byte repeated"));
        assert!(of("2B7E151628AED2A6ABF7158809CF4F3C").is_some());
        assert!(of("000102030405060708090a0b0c0d0e0f").is_some());
        assert_eq!(of("8f1d4a90b7c3e25660a1f4d2798bce03"), None);
    }
}
