//! The daemon under a journal: which fields its records have, and what is in none of them.
//!
//! The journal's socket has a fixed path, so the program runs in a mount namespace of its own
//! in which this path leads to the test's socket.

use crate::support::{Broker, Concentrator, Lykta, Sensor, wait_until};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lykta::fault::{Fault, Severity};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::sync::{Arc, Mutex};

/// What one call of the logger sent, by field.
type Fields = BTreeMap<String, String>;

/// A directory and the program's command line become a mount namespace with a journal.
const NAMESPACE: &str = "mount -t tmpfs none /run && mkdir -p /run/systemd/journal && \
                         mount --bind \"$0\" /run/systemd/journal && exec \"$@\"";

/// The same where the program sees no process, as under the shipped unit it sees only its own.
const ALONE: &str = "mount -t tmpfs none /run && mkdir -p /run/systemd/journal && \
                     mount --bind \"$0\" /run/systemd/journal && mount -t tmpfs none /proc && \
                     exec \"$@\"";

/// The other end of the journal's socket.
struct Journal {
    records: Arc<Mutex<Vec<Fields>>>,
    directory: tempfile::TempDir,
}

impl Journal {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(directory.path().join("socket")).unwrap();
        let records = Arc::new(Mutex::new(Vec::new()));
        let list = Arc::clone(&records);
        std::thread::spawn(move || {
            let mut buffer = vec![0; 1 << 20];
            // the logger knocks with an empty one first
            let knock = socket.recv(&mut buffer).unwrap();
            assert_eq!(knock, 0);
            while let Ok(len) = socket.recv(&mut buffer) {
                list.lock().unwrap().push(parse(&buffer[..len]));
            }
        });
        Self { records, directory }
    }

    /// Starts lykta and waits until it is ready.
    fn start_under(&self, lykta: &mut Lykta, level: &str) {
        self.spawn_under(lykta, level, NAMESPACE);
        lykta.wait_for_notification("READY=1");
    }

    /// Starts lykta as under systemd: its stderr is known to lead to the journal.
    fn spawn_under(&self, lykta: &mut Lykta, level: &str, namespace: &str) {
        let stderr = File::create(self.stderr()).unwrap();
        let id = stderr.metadata().unwrap();
        let plain = lykta.command();
        let mut command = Command::new("unshare");
        // without rights of its own it first needs a user namespace
        if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
            command.args(["--user", "--map-root-user"]);
        }
        command
            .args(["--mount", "sh", "-c", namespace])
            .arg(self.directory.path())
            .arg(plain.get_program())
            .args(plain.get_args())
            .envs(plain.get_envs().filter_map(|(key, value)| Some((key, value?))))
            .env("JOURNAL_STREAM", format!("{}:{}", id.dev(), id.ino()))
            .env("LYKTA_LOG", level)
            .stderr(stderr);
        lykta.spawn_as(command);
    }

    fn stderr(&self) -> std::path::PathBuf {
        self.directory.path().join("stderr")
    }

    fn records(&self) -> Vec<Fields> {
        self.records.lock().unwrap().clone()
    }

    /// Waits for a record with this id, by its name; the last of them.
    fn wait_for(&self, name: &str) -> Fields {
        let id = id(name);
        let of = |record: &Fields| record.get("MESSAGE_ID").is_some_and(|is| is == id);
        wait_until(&format!("the journal has {name}"), || self.records().iter().any(of));
        self.records().into_iter().rfind(of).unwrap()
    }
}

fn id(name: &str) -> &'static str {
    lykta::message::ALL.iter().find(|(known, _)| *known == name).expect("a known message").1
}

/// The journal's native protocol: `KEY=value` and a line feed, or KEY, a line feed, the length
/// as 64 bits little-endian, the value, and a line feed.
fn parse(mut record: &[u8]) -> Fields {
    let mut fields = Fields::new();
    while !record.is_empty() {
        let end = record.iter().position(|byte| *byte == b'\n').expect("a line ends");
        let (line, rest) = (&record[..end], &record[end + 1..]);
        let (key, value);
        if let Some(equals) = line.iter().position(|byte| *byte == b'=') {
            (key, value, record) = (&line[..equals], &line[equals + 1..], rest);
        } else {
            let (len, rest) = rest.split_first_chunk::<8>().expect("a length");
            let len = u64::from_le_bytes(*len) as usize;
            assert_eq!(rest[len], b'\n');
            (key, value, record) = (line, &rest[..len], &rest[len + 1..]);
        }
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
        let before = fields.insert(text(key), text(value));
        assert!(before.is_none(), "{} twice", text(key));
    }
    fields
}

/// A tenant with a password, a device whose payload its profile does not know.
struct Secrets {
    sensor: Sensor,
    password: &'static str,
    payload: [u8; 12],
}

impl Secrets {
    /// All ways in which somebody could write them down.
    fn written(&self) -> Vec<String> {
        let bytes = [&self.sensor.nwk_s_key[..], &self.sensor.app_s_key, &self.payload];
        let mut all = vec![self.password.to_owned()];
        for bytes in bytes {
            // a part of it is too much already
            let part = &bytes[..8];
            all.push(hex::encode(part));
            all.push(hex::encode_upper(part));
            all.push(part.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(" "));
            all.push(part.iter().map(u8::to_string).collect::<Vec<_>>().join(", "));
            all.push(STANDARD.encode(&part[..6]));
        }
        all
    }
}

#[test]
fn records_can_be_matched_and_hold_no_secret() {
    let secrets = Secrets {
        sensor: Sensor { profile: "milesight-ws301", ..Sensor::new(0x00de_caf5) },
        password: "korrekt-haest-batteri",
        payload: [0xfe, 0xed, 0xfa, 0xce, 0xca, 0xfe, 0xd0, 0x0d, 0xc0, 0xde, 0xba, 0x5e],
    };
    let known = Sensor::new(2);
    let directory = tempfile::tempdir().unwrap();
    let (users, ours) = (directory.path().join("users"), directory.path().join("password"));
    std::fs::write(&ours, format!("{}\n", secrets.password)).unwrap();
    let made = Command::new("mosquitto_passwd")
        .args(["-b", "-c"])
        .arg(&users)
        .args(["gw-1", secrets.password])
        .status();
    assert!(made.unwrap().success());
    // mosquitto gives up its rights before it reads the file
    for path in [directory.path(), users.as_path()] {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(path, mode).unwrap();
    }
    let access = format!("allow_anonymous false\npassword_file {}\n", users.display());
    let mut broker = Broker::with(&access);
    let mut lykta = Lykta::configured(&format!(
        "allow = [\"00000000000000a1\"]\n[[tenant]]\nid = \"waste\"\nkind = \"waste\"\n\
         [tenant.upstream]\nurls = [\"{}\"]\nusername = \"gw-1\"\npassword_file = \"{}\"\n\
         reconnect_min = \"100ms\"\nreconnect_max = \"500ms\"\n{}{}",
        broker.url(),
        ours.display(),
        secrets.sensor.table("waste"),
        known.table("waste"),
    ));
    let journal = Journal::start();
    journal.start_under(&mut lykta, "trace");
    journal.wait_for("STARTED");
    journal.wait_for("UPSTREAM_CONNECTED");

    // every road on which something is told of a frame: taken, undecodable, repeated, forged,
    // of nobody, refused
    let sensor = &secrets.sensor;
    let undecodable = sensor.uplink(1, 85, &secrets.payload);
    let mut forged = sensor.uplink(2, 85, &secrets.payload);
    *forged.last_mut().unwrap() ^= 1;
    let mut concentrator = Concentrator::new(0xa1, lykta.udp);
    concentrator.forward(&[undecodable.clone(), undecodable, forged, known.level(1, 80, 20)]);
    concentrator.forward(&[Sensor::new(77).uplink(1, 85, &secrets.payload), vec![0xff; 30]]);
    concentrator.send(b"nonsense");
    Concentrator::new(0xa2, lykta.udp)
        .send(&lykta::radio::gwmp::pull_data(lykta::units::GatewayEui(0xa2), 1));
    let decoding = journal.wait_for("DECODE_FAILED");
    assert_eq!(decoding["LYKTA_DEVICE"], sensor.dev_eui.to_string());
    assert_eq!(decoding["LYKTA_TENANT"], "waste");
    assert_eq!(decoding["PRIORITY"], "4");
    let refused = journal.wait_for("CONCENTRATOR_REFUSED");
    assert_eq!(refused["LYKTA_CONCENTRATOR"], "00000000000000a2");

    // a wrong password, once the broker is back
    broker.kill();
    let lost = journal.wait_for("UPSTREAM_LOST");
    assert_eq!(lost["LYKTA_TENANT"], "waste");
    assert_eq!(lost["LYKTA_FAULT"], "no-broker");
    assert_eq!(lost["PRIORITY"], "4");
    assert!(!lost["LYKTA_REASON"].is_empty());
    std::fs::write(&ours, format!("{}-wrong\n", secrets.password)).unwrap();
    broker.restart();
    wait_until("the broker turns the password down", || {
        journal.wait_for("UPSTREAM_LOST")["LYKTA_REASON"].contains("check username")
    });
    assert!(lykta.stop().success());
    journal.wait_for("STOPPING");

    let records = journal.records();
    check_shape(&records);
    let stderr = std::fs::read_to_string(journal.stderr()).unwrap();
    assert_eq!(stderr, "", "what the journal has needs no second way");
    let debug = records.iter().filter(|record| record["PRIORITY"].as_str() >= "6");
    assert!(debug.count() >= 4, "the roads of the frames are not told at all: {records:?}");
    let all = format!("{records:?}");
    for secret in secrets.written() {
        assert!(!all.contains(&secret), "{secret} in {records:#?}");
    }
}

/// What holds for every record.
fn check_shape(records: &[Fields]) {
    let catalog = crate::catalog::read("lykta.catalog");
    for record in records {
        let fault = record.get("MESSAGE_ID").and_then(|id| Fault::told_by(id));
        assert_eq!(record.get("LYKTA_FAULT").map(String::as_str), fault.map(Fault::code));
        if let Some(fault) = fault {
            let priority = if fault.severity() == Severity::Error { "3" } else { "4" };
            assert_eq!(record["PRIORITY"], priority, "{record:?}");
        }
        assert_eq!(record["SYSLOG_IDENTIFIER"], "lykta");
        let priority: u8 = record["PRIORITY"].parse().unwrap();
        assert!((3..=7).contains(&priority), "{record:?}");
        match record.get("MESSAGE_ID") {
            Some(id) => {
                let entry = catalog.get(id).unwrap_or_else(|| panic!("unknown id in {record:?}"));
                for field in &entry.fields {
                    assert!(record.contains_key(field), "@{field}@ is missing in {record:?}");
                }
            }
            None => assert!(priority >= 6, "what operations are told can be matched: {record:?}"),
        }
    }
}

#[test]
fn a_wrong_configuration_is_one_readable_record() {
    let mut lykta = Lykta::configured("");
    let file = lykta.path().join("lykta.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("gateway", "gatway")).unwrap();
    let journal = Journal::start();
    journal.spawn_under(&mut lykta, "info", NAMESPACE);
    assert_eq!(lykta.wait().code(), Some(78));
    let failed = journal.wait_for("FAILED");
    assert_eq!(failed["PRIORITY"], "3");
    let lines: Vec<_> = failed["MESSAGE"].lines().collect();
    assert_eq!(lines[0], "the configuration is wrong:");
    assert!(lines.contains(&"   = help: did you mean `gateway`?"), "{lines:#?}");
}

#[test]
fn who_has_looked_is_noted_at_any_level_and_nobody_is_taken_for_another() {
    let door = Sensor { profile: "browan-tbdw100", ..Sensor::new(1) };
    let mut lykta = Lykta::configured(&format!(
        "[[tenant]]\nid = \"care\"\nkind = \"care\"\n[tenant.upstream]\n\
         urls = [\"mqtt://127.0.0.1:9\"]\n{}resident = \"kastanj\"\nsensor = \"door\"\n\
         [[resident]]\nid = \"kastanj\"\nconsent = true\n",
        door.table("care")
    ));
    let journal = Journal::start();
    journal.spawn_under(&mut lykta, "off", ALONE);
    lykta.wait_for_notification("READY=1");
    let look = Command::new(env!("CARGO_BIN_EXE_lykta"))
        .args(["device", "list", "--config"])
        .arg(lykta.path().join("lykta.toml"))
        .env("LYKTA_LOG", "off")
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let pid = look.id().to_string();
    let looked = look.wait_with_output().unwrap();
    assert!(looked.status.success(), "{looked:?}");

    // the daemon knows who asked, and not who that is behind sudo
    let noted = journal.wait_for("CARE_READ");
    let uid = std::fs::metadata("/proc/self").unwrap().uid().to_string();
    assert_eq!((&noted["LYKTA_USER"], &noted["LYKTA_PROCESS"]), (&uid, &pid));
    assert_eq!(noted["LYKTA_LOGIN"], "not known");
    assert!(noted["MESSAGE"].ends_with(&format!("(login not known, process {pid})")), "{noted:?}");
    // the command does
    let said = String::from_utf8_lossy(&looked.stderr);
    let login = std::fs::read_to_string("/proc/self/loginuid").unwrap_or_default();
    let login = match login.trim() {
        "" => "login not known".to_owned(),
        "4294967295" => "nobody has logged in".to_owned(),
        login => format!("logged in as {login}"),
    };
    let line = format!(
        "devices of tenant care, which tell of residents, were shown to user {uid} ({login}, \
         process {pid})"
    );
    assert!(said.contains(&line), "{said}");
    // and that is all that is said with `off`
    assert!(lykta.stop().success());
    assert_eq!(journal.records().len(), 1, "{:?}", journal.records());
}
