//! What the service will find at its next start, asked by somebody else: root can read every file,
//! and is handed no credential.

use super::problem::{Problem, Problems};
use super::secret::Trouble;
use super::source::Place;
use super::{Loaded, secret};
use crate::program;
use nix::unistd::{Gid, Group, geteuid, getgrouplist};
use std::cell::OnceCell;
use std::collections::HashSet;
use std::ffi::{CString, OsStr};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::IntoRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

const SERVICE: &str = "lykta.service";

/// Where systemd looks for a credential without a path, the first first.
const STORES: [&str; 4] =
    ["/etc/credstore", "/run/credstore", "/usr/local/lib/credstore", "/usr/lib/credstore"];

/// What the shipped unit hides from the service, whoever may read it.
const HIDDEN: [&str; 8] =
    ["/home", "/root", "/run/user", "/tmp", "/var/tmp", "/boot", "/media", "/mnt"];

/// The directory of the packaged configuration.
const PACKAGED: &str = "/etc/lykta";

/// Tells of its arguments which cannot be read, or entered, each with a zero byte behind it.
const UNREADABLE: &str = r#"for f; do
    if [ -d "$f" ]; then [ -r "$f" ] && [ -x "$f" ]; else [ -r "$f" ]; fi || printf '%s\0' "$f"
done"#;
const CLOSED: &str = r#"for f; do [ -x "$f" ] || printf '%s\0' "$f"; done"#;

/// A file that was read, and who names it.
#[derive(Debug)]
pub(super) struct Used {
    pub(super) place: Place,
    /// The setting; empty where the file is one of settings.
    pub(super) key: String,
    pub(super) file: PathBuf,
}

impl Used {
    /// A file or a directory of settings.
    pub(super) fn of_settings(file: PathBuf) -> Self {
        Self { place: Place::File(file.clone()), key: String::new(), file }
    }
}

impl Loaded {
    /// The same, if the service can read it as well. Where that cannot be known it is believed:
    /// who asks is not root, or the configuration is neither the packaged one nor root's with a
    /// group of the service's.
    ///
    /// # Errors
    /// With each file that it cannot.
    pub fn for_the_service(mut self) -> Result<Self, Problems> {
        let used = std::mem::take(&mut self.used);
        let Some(Used { file: base, .. }) = used.first() else { return Ok(self) };
        let is_packaged = base.canonicalize().is_ok_and(|base| base == Path::new(PACKAGED));
        let is_its_own = base.metadata().is_ok_and(|base| base.uid() == 0 && base.gid() != 0);
        if !geteuid().is_root() || !(is_packaged || is_its_own) {
            return Ok(self);
        }
        let who = as_the_service();
        let denied = denied(&who, UNREADABLE, used.iter().map(|used| used.file.as_path()));
        let shut = shut(&who, &denied);
        let base = base.canonicalize().unwrap_or_else(|_| base.clone());
        let errors: Vec<Problem> = used
            .into_iter()
            .filter_map(|Used { place, key, file }| {
                let (what, help) = hidden(&file)
                    .filter(|_| is_packaged)
                    .or_else(|| denied.contains(&file).then(|| closed(&file, &shut, &base)))?;
                Some(Problem { place, key, ..Problem::of_file("", what, help) })
            })
            .collect();
        match errors.is_empty() {
            true => Ok(self),
            false => Err(Problems { errors, warnings: self.warnings, sources: self.sources }),
        }
    }
}

/// What makes setpriv do something as the service would.
fn as_the_service() -> [String; 3] {
    let (user, group) = (whose("User"), whose("Group"));
    let mut groups = vec![group.clone()];
    groups.extend(groups_of(&user, &group).iter().map(ToString::to_string));
    let more = property("SupplementaryGroups").unwrap_or_default();
    groups.extend(more.split_whitespace().map(str::to_owned));
    let groups = groups.join(",");
    [format!("--reuid={user}"), format!("--regid={group}"), format!("--groups={groups}")]
}

/// Which of these are denied to the service's user by such a test; none where there is no such
/// user.
fn denied<'a>(
    who: &[String],
    test: &str,
    files: impl Iterator<Item = &'a Path>,
) -> HashSet<PathBuf> {
    let mut setpriv = Command::new("setpriv");
    setpriv.args(who).args(["--", "sh", "-c", test, "sh"]).args(files);
    let output = program::output(&mut setpriv);
    let told = output.map(|output| output.stdout).unwrap_or_default();
    let files = told.split(|byte| *byte == 0).filter(|file| !file.is_empty());
    files.map(|file| OsStr::from_bytes(file).into()).collect()
}

/// Who the service is, as its unit says it with all drop-ins.
fn whose(name: &str) -> String {
    // none: no systemd is here that knows the service
    property(name).filter(|told| !told.is_empty()).unwrap_or_else(|| "lykta".to_owned())
}

/// Which groups the system knows a user to be in.
fn groups_of(user: &str, group: &str) -> Vec<Gid> {
    let name = CString::new(user).unwrap_or_default();
    let group = Group::from_name(group).ok().flatten();
    group.and_then(|group| getgrouplist(&name, group.gid).ok()).unwrap_or_default()
}

/// Which directories above these files the service cannot enter.
fn shut(who: &[String], files: &HashSet<PathBuf>) -> HashSet<PathBuf> {
    let mut above = HashSet::new();
    for file in files.iter().filter_map(|file| file.canonicalize().ok()) {
        above.extend(file.ancestors().skip(1).map(Path::to_owned));
    }
    denied(who, CLOSED, above.iter().map(PathBuf::as_path))
}

/// Of a file that cannot be read, where the service cannot enter these directories. Those of the
/// configuration may be opened to it.
fn closed(file: &Path, shut: &HashSet<PathBuf>, base: &Path) -> Trouble {
    let shown = file.display();
    let real = file.canonicalize().unwrap_or_else(|_| file.to_owned());
    let above: Vec<&Path> = real.ancestors().skip(1).collect();
    // the outermost: what is below it may be closed or not
    match above.into_iter().rev().find(|directory| shut.contains(*directory)) {
        Some(directory) => (
            format!("the service cannot read {shown}: {} is closed to it", directory.display()),
            match directory.starts_with(base) {
                true => secret::let_read(directory),
                false => secret::give_a_copy(&real),
            },
        ),
        None => (format!("the service cannot read {shown}"), secret::let_read(&real)),
    }
}

fn hidden(file: &Path) -> Option<Trouble> {
    let real = file.canonicalize().ok()?;
    let below = HIDDEN.iter().find(|directory| real.starts_with(directory))?;
    if is_shown(&real) {
        return None;
    }
    let shown = file.display();
    let what = format!("the service does not see {shown}: all below {below} is hidden from it");
    let help = match (real.is_dir(), file.is_symlink()) {
        (true, _) => format!("put what is in it below {PACKAGED} itself"),
        // in its place
        (_, true) => {
            let (real, link) = (secret::quoted(&real), secret::quoted(file));
            format!("put it there itself: install -m 640 -g lykta {real} {link}")
        }
        _ => secret::give_a_copy(&real),
    };
    Some((what, help))
}

/// Whether a drop-in lets the service see what the shipped unit hides.
fn is_shown(file: &Path) -> bool {
    let told = |name| property(name).unwrap_or_default();
    let binds = told("BindPaths") + " " + &told("BindReadOnlyPaths");
    // source, destination and options
    let mut seen = binds.split_whitespace().filter_map(|bind| bind.split(':').nth(1));
    let homes = ["/home", "/root", "/run/user"];
    seen.any(|seen| file.starts_with(seen))
        || ["no", "read-only"].contains(&told("ProtectHome").as_str())
            && homes.iter().any(|home| file.starts_with(home))
}

/// Where a credential lies as the shipped unit names it.
pub(crate) fn stored(name: &Path) -> PathBuf {
    Path::new(STORES[0]).join(format!("lykta.{}", name.display()))
}

/// How the service comes by its credentials.
#[derive(Debug, Default)]
pub(super) struct Credentials {
    /// None where no systemd is that knows the service.
    handed: OnceCell<Option<Handed>>,
}

/// What a unit hands over.
#[derive(Debug, Default, PartialEq, Eq)]
struct Handed {
    lines: Vec<Line>,
    /// Whether it also does so in ways that are not looked into.
    otherwise: bool,
}

/// One that systemd hands over.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    name: String,
    /// As it is written, relative to a store.
    file: PathBuf,
    is_encrypted: bool,
}

impl Credentials {
    /// The file of a credential as the next start of the service is handed it.
    pub(super) fn find(&self, name: &Path) -> Result<PathBuf, Trouble> {
        let handed = self.handed.get_or_init(|| Some(handed(&unit()?)));
        let shown = name.display();
        let Some(Handed { lines, otherwise }) = handed else {
            // no systemd is here that knows the service
            return first([stored(name)], name);
        };
        let Some(line) = lines.iter().rev().find(|line| Path::new(&line.name) == name) else {
            if needs_reload() {
                return Err((
                    format!(
                        "{shown} is a systemd credential, and the service is not handed it yet"
                    ),
                    "its files have changed: sudo systemctl daemon-reload".to_owned(),
                ));
            }
            if *otherwise {
                return Err((
                    format!(
                        "{shown} is a systemd credential, and what SetCredential or \
                         ImportCredential hand to the service is not looked into here"
                    ),
                    "hand it over by LoadCredential, or write a path with '/'".to_owned(),
                ));
            }
            let encrypted = Path::new("/etc/credstore.encrypted").join(format!("lykta.{shown}"));
            let load =
                if encrypted.exists() { "LoadCredentialEncrypted" } else { "LoadCredential" };
            return Err((
                format!("{shown} is a systemd credential, and the service is not handed it"),
                format!(
                    "sudo systemctl edit lykta, and write: [Service], and below it \
                     {load}={shown}:lykta.{shown}; or write a path with '/'"
                ),
            ));
        };
        let encrypted =
            STORES.map(|store| Path::new(&format!("{store}.encrypted")).join(&line.file));
        let plain = STORES.map(|store| Path::new(store).join(&line.file));
        if line.file.is_absolute() && geteuid().is_root() && !line.file.exists() {
            return Err((
                format!(
                    "{shown} is a systemd credential, and its file {} is not there",
                    line.file.display()
                ),
                "put it there, or change the line of the service: sudo systemctl edit lykta"
                    .to_owned(),
            ));
        }
        if !line.is_encrypted {
            return first(plain, name);
        }
        let file = first(encrypted.into_iter().chain(plain), name)?;
        decrypted(&file, &line.name).map_err(|why| {
            (
                format!("{} is a credential that cannot be decrypted here: {why}", file.display()),
                match geteuid().is_root() {
                    false => "ask as root: sudo lykta …".to_owned(),
                    true => format!(
                        "encrypt it anew, on this machine: systemd-creds encrypt --name={shown} FILE {}",
                        secret::quoted(&file)
                    ),
                },
            )
        })
    }
}

/// The first of these files that is there.
fn first(files: impl IntoIterator<Item = PathBuf>, name: &Path) -> Result<PathBuf, Trouble> {
    let shown = name.display();
    for file in files {
        match file.try_exists() {
            Ok(true) => return Ok(file),
            Ok(false) => {}
            // the stores are root's
            Err(_) => {
                return Err((
                    format!("{shown} is a systemd credential, which root alone can see"),
                    "ask as root: sudo lykta …".to_owned(),
                ));
            }
        }
    }
    Err((
        format!("{shown} is a systemd credential, and it is not there"),
        format!(
            "as root: put it into /etc/credstore/lykta.{shown}, and have \
             LoadCredential={shown}:lykta.{shown} in the service (for mqtt-password it is there); \
             or write a path with '/'"
        ),
    ))
}

/// The unit with its drop-ins, as systemd would read them.
fn unit() -> Option<String> {
    systemctl(&["cat", "--no-pager", SERVICE])
}

/// Whether they are others than systemd has read.
fn needs_reload() -> bool {
    property("NeedDaemonReload").is_some_and(|told| told == "yes")
}

/// A property of the unit, with all drop-ins.
fn property(name: &str) -> Option<String> {
    let told = systemctl(&["show", "--value", &format!("--property={name}"), SERVICE])?;
    Some(told.trim().to_owned())
}

fn systemctl(arguments: &[&str]) -> Option<String> {
    let output = program::output(Command::new("systemctl").args(arguments));
    let output = output.ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()
}

/// What a unit hands over, as it is written.
fn handed(unit: &str) -> Handed {
    let Handed { mut lines, mut otherwise } = Handed::default();
    let mut is_service = false;
    for line in unit.lines().map(str::trim) {
        // each file begins with its name, and in no section
        let begins =
            line.starts_with("# /") && (line.ends_with(".service") || line.ends_with(".conf"));
        if begins || line.starts_with('[') {
            is_service = line == "[Service]";
        }
        let Some((option, value)) = line.split_once('=').filter(|_| is_service) else { continue };
        let (option, value) = (option.trim(), value.trim());
        let is_encrypted = match option {
            "LoadCredential" => false,
            "LoadCredentialEncrypted" => true,
            "SetCredential" | "SetCredentialEncrypted" | "ImportCredential" => {
                otherwise = !value.is_empty();
                continue;
            }
            _ => continue,
        };
        if value.is_empty() {
            // both kinds are one list
            lines.clear();
            continue;
        }
        let (name, file) = value.split_once(':').unwrap_or((value, value));
        lines.push(Line { name: name.to_owned(), file: file.into(), is_encrypted });
    }
    Handed { lines, otherwise }
}

/// A decrypted credential in a file of this process that no other can find.
fn decrypted(file: &Path, name: &str) -> io::Result<PathBuf> {
    let mut creds = Command::new("systemd-creds");
    creds.arg("decrypt").arg(format!("--name={name}")).arg(file).arg("-");
    let output = program::output(&mut creds)?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        let why = why.lines().last().unwrap_or("systemd-creds does not say why");
        return Err(io::Error::other(why.trim().to_owned()));
    }
    let mut kept: File = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_TMPFILE)
        .mode(0o600)
        .open("/run")?;
    kept.write_all(&output.stdout)?;
    // for as long as this process lives
    Ok(format!("/proc/self/fd/{}", kept.into_raw_fd()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, file: &str, is_encrypted: bool) -> Line {
        Line { name: name.into(), file: file.into(), is_encrypted }
    }

    #[test]
    fn the_credentials_of_a_unit() {
        let unit = "# /lib/systemd/system/lykta.service\n[Service]\n#LoadCredential=no:no\n\
                    LoadCredential=mqtt-password:lykta.mqtt-password\n\n\
                    # /etc/systemd/system/lykta.service.d/override.conf\n[Service]\n\
                    LoadCredentialEncrypted=care-key:/srv/care\n LoadCredential = same \n";
        let password = line("mqtt-password", "lykta.mqtt-password", false);
        let key = line("care-key", "/srv/care", true);
        let all = vec![password, key.clone(), line("same", "same", false)];
        let of = |lines, otherwise| Handed { lines, otherwise };
        assert_eq!(handed(unit), of(all.clone(), false));
        assert_eq!(handed(&format!("{unit}LoadCredential=\n")), of(vec![], false));
        assert_eq!(handed(&format!("{unit}SetCredential=a:b\n")), of(all, true));
        let outside = "# /etc/systemd/system/lykta.service.d/x.conf\nLoadCredential=out:out\n";
        assert_eq!(
            handed(&format!("{unit}LoadCredential=\n{outside}")),
            handed(&format!("{unit}LoadCredential=\n"))
        );
    }

    #[test]
    fn what_is_hidden_from_the_service() {
        let file = tempfile::NamedTempFile::new_in("/tmp").expect("a file");
        let (what, help) = hidden(file.path()).expect("it is hidden");
        assert!(what.contains("all below /tmp is hidden"), "{what}");
        assert!(help.contains("/etc/lykta/"), "{help}");
        assert_eq!(hidden(Path::new("/etc/passwd")), None);
    }
}
