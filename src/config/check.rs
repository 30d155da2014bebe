//! What types alone cannot say: settings that contradict each other or the machine.

use super::key::{KeyPath, Part};
use super::read::{Fault, Reader};
use super::secret::{Places, Trouble, exposed, read_password, read_store_key};
use super::settings::{
    BrokerUrl, Concentrator, ModemSettings, Protocol, Settings, Tenant, TenantKind, Upstream,
};
use super::tls;
use crate::sys;
use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Notes errors and warnings.
pub(super) struct Checks<'a> {
    pub(super) reader: &'a mut Reader,
    pub(super) warnings: Vec<Fault>,
    pub(super) places: &'a Places,
    /// The files that settings name, but credentials.
    pub(super) used: Vec<(KeyPath, PathBuf)>,
}

impl<'a> Checks<'a> {
    pub(super) fn new(reader: &'a mut Reader, places: &'a Places) -> Self {
        Self { reader, warnings: Vec::new(), places, used: Vec::new() }
    }

    pub(super) fn error(
        &mut self,
        path: &KeyPath,
        what: impl Into<Cow<'static, str>>,
        help: impl Into<String>,
    ) {
        self.reader.wrong(path, what, help);
    }

    pub(super) fn warning(
        &mut self,
        path: &KeyPath,
        what: impl Into<Cow<'static, str>>,
        help: impl Into<String>,
    ) {
        let (what, help) = (what.into(), help.into());
        self.warnings.push(Fault {
            path: path.clone(),
            part: Part::Value,
            what,
            help,
            see: None,
            of_machine: false,
        });
    }

    pub(super) fn twice(&mut self, path: &KeyPath, earlier: &KeyPath, what: String, help: &str) {
        self.contradiction(path, earlier, "the first is here", what, help);
    }

    /// An error in which two settings have a part.
    pub(super) fn contradiction(
        &mut self,
        path: &KeyPath,
        other: &KeyPath,
        why: &str,
        what: String,
        help: &str,
    ) {
        self.error(path, what, help);
        see(&mut self.reader.faults, other, why);
    }

    /// As [`Checks::twice`], but it may be meant.
    pub(super) fn doubt(&mut self, path: &KeyPath, earlier: &KeyPath, what: String, help: &str) {
        self.warning(path, what, help);
        see(&mut self.warnings, earlier, "the first is here");
    }

    /// The result of a look at a file.
    pub(super) fn noted<T>(&mut self, path: &KeyPath, result: Result<T, Trouble>) -> Option<T> {
        result.map_err(|(what, help)| self.error(path, what, help)).ok()
    }

    /// Whatever comes of a look at a secret of this name, and where it is. Warns if everybody on
    /// the machine can read it.
    pub(super) fn secret<T>(
        &mut self,
        path: &KeyPath,
        name: &Path,
        read: impl FnOnce(&Path) -> Result<T, Trouble>,
    ) -> Option<(PathBuf, Option<T>)> {
        let file = self.noted(path, self.places.secret(name))?;
        let found = read(&file).map_err(|(what, help)| {
            // one that was decrypted has no file that anybody could look into
            match file.starts_with("/proc") {
                true => {
                    let credential = format!("the credential {}", name.display());
                    (what.replace(&file.display().to_string(), &credential), help)
                }
                false => (what, help),
            }
        });
        let found = self.noted(path, found);
        if let Some((what, help)) = exposed(&file) {
            self.warning(path, what, help);
        }
        if !Places::is_credential(name) {
            self.used.push((path.clone(), file.clone()));
        }
        Some((file, found))
    }

    /// Everything but the devices. File names in the settings become absolute.
    pub(super) fn settings(&mut self, settings: &mut Settings) {
        let root = KeyPath::default();
        settings.state_dir = self.places.file(&settings.state_dir);
        let before = self.reader.faults.len();
        self.state_dir(&root.key("state_dir"), &settings.state_dir);
        self.reader.faults[before..].iter_mut().for_each(|fault| fault.of_machine = true);
        let store = root.key("store");
        self.at_most(&store.key("commit_interval"), settings.store.commit_interval, 60);
        if !(1..=1000).contains(&settings.store.commit_rows) {
            let help = "what waits is in memory, and lost with the power: keep it short";
            self.error(&store.key("commit_rows"), "1 to 1000 is allowed here", help);
        }
        if let Some(concentrator) = &settings.concentrator {
            self.concentrator(&root.key("concentrator"), concentrator);
        }
        self.radios(settings);
        if let Some(modem) = &settings.modem {
            self.modem(&root.key("modem"), modem);
        }
        if settings.tenant.is_empty() && self.reader.is_whole(&root.key("tenant")) {
            let help = "add [[tenant]] with an id and [tenant.upstream] with urls";
            self.reader.wrong_key(
                &root.key("tenant"),
                "there is no tenant: data has no owner",
                help,
            );
        }
        let paths: Vec<KeyPath> =
            self.reader.elements("tenant").take(settings.tenant.len()).collect();
        let mut seen: HashMap<&str, &KeyPath> = HashMap::new();
        for (tenant, path) in settings.tenant.iter().zip(&paths) {
            let id = path.key("id");
            if let Some(earlier) = seen.insert(tenant.id.as_str(), path) {
                let what = format!("tenant \"{}\" is there twice", tenant.id);
                self.twice(&id, &earlier.key("id"), what, "give each tenant an id of its own");
            }
        }
        let mut clients: HashMap<(&str, String), KeyPath> = HashMap::new();
        for (tenant, path) in settings.tenant.iter().zip(&paths) {
            let at = path.key("upstream").key("client_id");
            let Some(client_id) = &tenant.upstream.client_id else { continue };
            for url in &tenant.upstream.urls {
                let client = (client_id.as_str(), url.to_string());
                if let Some(earlier) = clients.insert(client, at.clone()) {
                    let what = "two tenants have this client id at one broker".to_owned();
                    let help = "give each its own: a broker lets only one of them be connected";
                    self.twice(&at, &earlier, what, help);
                    break;
                }
            }
        }
        for (tenant, path) in settings.tenant.iter_mut().zip(&paths) {
            let buffer = path.key("buffer");
            if !(8..=900).contains(&tenant.buffer.max_mb) {
                let help = "the database itself ends at 1024 MB, and some room is for alarms";
                self.error(&buffer.key("max_mb"), "8 to 900 is allowed here", help);
            }
            if !(1..=3660).contains(&tenant.buffer.max_days) {
                let help = "in days; what is older is given up";
                self.error(&buffer.key("max_days"), "1 to 3660 is allowed here", help);
            }
            self.tenant(path, tenant);
        }
        self.tours(settings);
    }

    fn state_dir(&mut self, path: &KeyPath, directory: &Path) {
        let shown = directory.display();
        let own = format!(
            "let the service's user own it (chown -R lykta {shown}), or run this as that user"
        );
        if directory.is_dir() {
            if !sys::is_writable(directory) {
                self.error(path, format!("{shown} is not writable"), own);
            }
            return;
        }
        if directory.exists() {
            let help = "move the file away, or name another directory";
            self.error(path, format!("{shown} is not a directory"), help);
            return;
        }
        let parent = directory.parent();
        match parent.map(|parent| if parent == Path::new("") { Path::new(".") } else { parent }) {
            Some(parent) if !parent.is_dir() => {
                let what = format!("{shown} cannot be created: there is no {}", parent.display());
                self.error(path, what, "create the directory above it, or mend the path");
            }
            Some(parent) if !sys::is_writable(parent) => {
                let what =
                    format!("{shown} does not exist and cannot be created in {}", parent.display());
                self.error(path, what, format!("create it: install -d -o lykta {shown}"));
            }
            _ => {}
        }
    }

    fn at_most(&mut self, path: &KeyPath, duration: Duration, seconds: u64) {
        if duration > Duration::from_secs(seconds) {
            let what = format!("at most {seconds}s is allowed here");
            self.error(path, what, "what waits is lost with the power: keep it short");
        }
    }

    fn concentrator(&mut self, path: &KeyPath, concentrator: &Concentrator) {
        self.at_most(&path.key("dedup_window"), concentrator.dedup_window, 5);
        let ip = concentrator.listen.ip();
        let is_open = concentrator.allow.is_empty() && concentrator.allow_from.is_empty();
        if !ip.is_loopback() && is_open {
            self.warning(
                &path.key("listen"),
                "anybody who reaches this port can send frames: the Semtech UDP protocol has no \
                 authentication",
                "list your concentrators in `allow` or their network in `allow_from`, or listen on \
                 127.0.0.1",
            );
        }
    }

    fn modem(&mut self, path: &KeyPath, modem: &ModemSettings) {
        let command = path.key("command");
        match modem.command.first().map(Path::new) {
            None => self.error(&command, "no command is given", "name a program"),
            Some(program) if !program.is_absolute() => {
                let help =
                    "write its whole path, such as \"/usr/bin/mmcli\"; no shell looks for it";
                self.error(&command, "this is no whole path of a program", help);
            }
            // not an error: all else works without it
            Some(program) if !program.is_file() => {
                let what = format!("there is no program {}", program.display());
                self.warning(&command, what, "install it, or mend the path");
            }
            Some(_) => {}
        }
        let (after, help) = (path.key("after"), "write \"15min\"");
        if modem.after.is_zero() {
            self.error(&after, "after must be longer than 0s", help);
        } else if modem.after < Duration::from_secs(300) {
            let what = "a modem takes minutes to find the network, and is restarted meanwhile";
            self.warning(&after, what, help);
        }
    }

    fn tenant(&mut self, path: &KeyPath, tenant: &mut Tenant) {
        let range = Duration::from_secs(60)..=Duration::from_secs(72 * 3600);
        if !range.contains(&tenant.erase_after) {
            let help = "write \"1h\", or from \"1min\" to \"72h\"";
            self.error(&path.key("erase_after"), "what is erased is to be gone within days", help);
        }
        if let Some(escalation) = &tenant.escalation {
            self.escalation(&path.key("escalation"), escalation);
        }
        self.store_keys(path, tenant);
        self.upstream(&path.key("upstream"), &mut tenant.upstream);
    }

    fn store_keys(&mut self, path: &KeyPath, tenant: &mut Tenant) {
        let keys = [
            ("store_key_file", &mut tenant.store_key_file),
            ("earlier_store_key_file", &mut tenant.earlier_store_key_file),
        ];
        let [key, earlier] = keys.map(|(name, file)| {
            let file = file.as_mut()?;
            let (found, key) = self.secret(&path.key(name), file, read_store_key)?;
            *file = found;
            key
        });
        if tenant.kind == TenantKind::Care && tenant.store_key_file.is_none() {
            let id = &tenant.id;
            self.error(
                &path.key("kind"),
                "what is kept of residents is encrypted, and there is no key",
                format!(
                    "make one: openssl rand -hex 32 | sudo install -m 640 -g lykta /dev/stdin \
                     /etc/lykta/{id}.key; keep a copy elsewhere, and add store_key_file = \
                     \"/etc/lykta/{id}.key\" to the tenant"
                ),
            );
        }
        let at = path.key("earlier_store_key_file");
        if tenant.earlier_store_key_file.is_some() && tenant.store_key_file.is_none() {
            let help = "add store_key_file with the new key";
            self.error(&at, "a key of before, and none for now", help);
        } else if key.is_some() && key == earlier {
            let help = "leave it out, or write a new key into the file of `store_key_file`";
            self.error(&at, "the key of before is the present one", help);
        }
    }

    fn upstream(&mut self, path: &KeyPath, upstream: &mut Upstream) {
        let urls = path.key("urls");
        if upstream.urls.is_empty() && self.reader.is_whole(&urls) {
            self.error(&urls, "no broker is given", "add one: urls = [\"mqtt://HOST:1883\"]");
        }
        self.prefix(&path.key("prefix"), &upstream.prefix);
        if upstream.protocol == Protocol::V4 {
            self.warning(
                &path.key("protocol"),
                "MQTT 3.1.1 cannot tell a refusal from a delivery: a message that the broker \
                 refuses counts as delivered",
                "use protocol = 5 if the broker can",
            );
        }
        let range = Duration::from_secs(5)..=Duration::from_secs(600);
        if !range.contains(&upstream.keep_alive) {
            let help =
                "shorter costs traffic, longer leaves a dead link unnoticed; \"20s\" is good";
            self.error(&path.key("keep_alive"), "keep_alive must be from 5s to 10min", help);
        } else if upstream.keep_alive >= Duration::from_secs(60) {
            self.warning(
                &path.key("keep_alive"),
                "a link that dies without a word is noticed only after two minutes or more, and \
                 until then nothing arrives, no alarm either",
                "write \"59s\" or less; \"20s\" is good",
            );
        }
        for (name, wait) in [
            ("reconnect_min", upstream.reconnect_min),
            ("reconnect_alarm_max", upstream.reconnect_alarm_max),
            ("set_aside_after", upstream.set_aside_after),
        ] {
            if wait.is_zero() {
                let what = format!("{name} must be longer than 0s");
                let help = "without a pause the broker is asked, or offered the same, without end";
                self.error(&path.key(name), what, help);
            }
        }
        if upstream.reconnect_min > upstream.reconnect_max {
            let help = "raise reconnect_max or lower reconnect_min";
            self.error(
                &path.key("reconnect_min"),
                "reconnect_min is longer than reconnect_max",
                help,
            );
        }
        let range = Duration::from_secs(60)..=Duration::from_secs(365 * 24 * 3600);
        if !range.contains(&upstream.command_session) {
            let help = "as long as commands may be late; \"168h\" is a week";
            let path = path.key("command_session");
            self.error(&path, "command_session must be from 1min to 8760h", help);
        }
        self.tls(path, upstream);
        self.password(path, upstream);
    }

    /// A topic level, or several.
    fn prefix(&mut self, path: &KeyPath, prefix: &str) {
        let what = match prefix {
            "" => "the prefix is empty",
            p if p.contains(['+', '#']) => "the prefix contains a wildcard, + or #",
            p if p.contains(char::is_control) => "the prefix contains a control character",
            p if p.starts_with('/') || p.ends_with('/') => "the prefix begins or ends with /",
            p if p.contains("//") => "the prefix has an empty level",
            p if p.starts_with('$') => "topics that begin with $ belong to the broker",
            _ => return,
        };
        self.error(path, what, "write one level or several, such as \"lykta\" or \"city/waste\"");
    }

    fn tls(&mut self, path: &KeyPath, upstream: &mut Upstream) {
        let names =
            [("ca", &mut upstream.ca), ("cert", &mut upstream.cert), ("key", &mut upstream.key)];
        let plain = upstream.urls.iter().all(|url| !url.tls) && !upstream.urls.is_empty();
        for (name, file) in names {
            let Some(file) = file else { continue };
            *file = self.places.file(file);
            self.used.push((path.key(name), file.clone()));
            if plain {
                let what = format!("`{name}` is given, but no url begins with mqtts://");
                self.warning(&path.key(name), what, "write mqtts:// to encrypt the connection");
            }
        }
        if let Some(file) = &upstream.ca {
            let result = tls::authorities(file);
            self.noted(&path.key("ca"), result);
        }
        let chain = upstream.cert.as_ref().and_then(|file| {
            let result = tls::certificates(file);
            self.noted(&path.key("cert"), result)
        });
        if let Some(file) = &upstream.key {
            let at = path.key("key");
            let result = tls::key(file, chain.as_deref());
            self.noted(&at, result);
            if let Some((what, help)) = exposed(file) {
                self.warning(&at, what, help);
            }
        }
        for (given, missing, absent) in [
            ("cert", "key", upstream.cert.is_some() && upstream.key.is_none()),
            ("key", "cert", upstream.key.is_some() && upstream.cert.is_none()),
        ] {
            if absent {
                let what = format!("`{given}` is given without `{missing}`");
                self.error(&path.key(given), what, format!("add `{missing}`, or remove `{given}`"));
            }
        }
    }

    fn password(&mut self, path: &KeyPath, upstream: &mut Upstream) {
        let at = path.key("password_file");
        if let Some(file) = &mut upstream.password_file {
            if let Some((found, _)) = self.secret(&at, file, read_password) {
                *file = found;
            }
            if upstream.username.is_none() {
                self.error(&at, "a password without a user name", "add `username`");
            }
        }
        let open = |url: &&BrokerUrl| !url.tls && !is_loopback(&url.host);
        if let (Some(_), Some(url)) = (&upstream.username, upstream.urls.iter().find(open)) {
            self.warning(
                &path.key("username"),
                format!("user name and password go over the network in clear, to {url}"),
                "write mqtts:// if the broker can",
            );
        }
    }
}

/// Adds to the newest fault another setting that has a part in it.
fn see(faults: &mut [Fault], path: &KeyPath, why: &str) {
    if let Some(fault) = faults.last_mut() {
        fault.see = Some((path.clone(), why.to_owned()));
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
