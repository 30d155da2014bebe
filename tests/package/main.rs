//! The promise to the field engineer: one package, which `apt` installs, and from which a machine
//! that nobody visits can go on for years: `tests/run package`, as root, since it boots a
//! container. The program in it is the one of the tests, so that nothing is compiled twice.
//!
//! In the container devices, `DeviceAllow=`, `MemoryMax=` and udev's rules have no effect.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../support/mod.rs"]
mod support;

mod container;

use container::Container;
use std::fs;
use std::path::Path;
use std::process::Command;
use support::{Broker, Concentrator, Sensor, Subscriber, package, run, wait_until};

const PASSWORD: &str = "hunter2";
const AS_GATEWAY: [&str; 4] = ["-u", "gw-1", "-P", PASSWORD];

/// How many frames are heard while there is no broker.
const BACKLOG: u32 = 200;

/// A broker that wants a password.
fn broker(directory: &Path) -> Broker {
    let users = directory.join("users");
    run(Command::new("mosquitto_passwd").args(["-b", "-c"]).arg(&users).args(["gw-1", PASSWORD]));
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    fs::set_permissions(&users, readable).unwrap();
    Broker::with(&format!("allow_anonymous false\npassword_file {}\n", users.display()))
}

/// What of a tenant's messages waits, as the daemon tells.
fn waiting(container: &Container) -> u64 {
    let status: serde_json::Value =
        serde_json::from_str(&container.run("lykta status --json")).unwrap();
    status["tenants"][0]["waiting"].as_u64().unwrap_or_else(|| panic!("{status:#}"))
}

fn install(container: &Container, package: &Path) -> String {
    let name = package.file_name().unwrap().to_str().unwrap();
    fs::copy(package, container.path("root").join(name)).unwrap();
    container.run(&format!("dpkg -i /root/{name}"))
}

/// Who may do what with the configuration and the state.
fn assert_nobody_else_may_read(container: &Container) {
    let modes = container.run(
        "stat -c '%a %U:%G %n' /etc/lykta /etc/lykta/lykta.toml /etc/lykta/devices.d /etc/credstore{,.encrypted}",
    );
    assert_eq!(
        modes,
        "750 root:lykta /etc/lykta\n640 root:lykta /etc/lykta/lykta.toml\n\
         750 root:lykta /etc/lykta/devices.d\n\
         700 root:root /etc/credstore\n700 root:root /etc/credstore.encrypted\n"
    );
}

#[test]
fn a_gateway_lives_from_the_installation_to_the_purge() {
    let directory = tempfile::tempdir().unwrap();
    // mosquitto gives up its rights, and reads the users after that
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(directory.path(), open).unwrap();
    let (first, second) = (package("1", directory.path()), package("2", directory.path()));
    let container = Container::boot();
    container.enter_network();

    // installed: enabled, not started, nothing to be read by others
    install(&container, &first);
    assert_eq!(container.service("UnitFileState"), "enabled");
    assert_eq!(container.service("ActiveState"), "inactive");
    assert_nobody_else_may_read(&container);
    container.run("man1=/usr/share/man/man1; ls $man1/lykta.1.gz $man1/lykta-run.1.gz");
    container.run("bash -n /usr/share/bash-completion/completions/lykta");
    // as it comes it has no tenant: told, and not tried again and again
    assert_eq!(container.tells("lykta check").0, Some(78));
    assert_ne!(container.tells("systemctl start lykta").0, Some(0));
    assert_eq!(container.service("ExecMainStatus"), "78");
    assert_eq!(container.service("ActiveState"), "failed");

    // configured, with the password as a credential
    let mut broker = broker(directory.path());
    let cloud = Subscriber::start(&broker, &AS_GATEWAY);
    // the broker, when it comes back, keeps for the cloud what it is given before that is back
    broker.save();
    let sensor = Sensor::new(1);
    let settings = format!(
        "[[tenant]]\nid = \"waste\"\nkind = \"waste\"\n[tenant.upstream]\nurls = [\"{}\"]\n\
         username = \"gw-1\"\npassword_file = \"mqtt-password\"\nreconnect_min = \"100ms\"\n\
         reconnect_max = \"500ms\"\nbacklog_rate = 0\n{}",
        broker.url(),
        sensor.table("waste")
    );
    fs::write(container.path("etc/lykta/conf.d/waste.toml"), settings).unwrap();
    container
        .run("chmod 640 /etc/lykta/conf.d/waste.toml; chgrp lykta /etc/lykta/conf.d/waste.toml");
    let mine = "# of the gateway at the yard\n";
    container.run(&format!("printf '{mine}' >>/etc/lykta/lykta.toml"));
    fs::write(container.path("etc/credstore/lykta.mqtt-password"), PASSWORD).unwrap();
    container.run("chmod 600 /etc/credstore/lykta.mqtt-password");
    // a shell finds what the service will be handed
    let checked = container.run("lykta check");
    assert!(checked.contains("mqtt-password") && !checked.contains(PASSWORD), "{checked}");
    // found sooner to hang than on the street, so that the test ends
    let sooner = "[Service]\nWatchdogSec=5\nRestartSec=0\n";
    container.run("mkdir -p /run/systemd/system/lykta.service.d");
    fs::write(container.path("root/sooner.conf"), sooner).unwrap();
    container.run("cp /root/sooner.conf /run/systemd/system/lykta.service.d/");
    container.run("systemctl daemon-reload");
    // returns when the daemon has said READY=1
    container.run("systemctl start lykta");
    assert_eq!(container.service("ActiveState"), "active");
    wait_until("the broker has let it in", || container.run("lykta status").contains("connected"));
    let concentrator = "127.0.0.1:1700".parse().unwrap();
    let mut concentrator = Concentrator::new(1, concentrator);
    concentrator.forward(&[sensor.level(1, 80, 20)]);
    wait_until("a level arrives", || cloud.on("/readings").len() == 1);
    wait_until("the status line tells of it", || {
        container.service("StatusText").contains("1 accepted, 0 waiting, connected")
    });

    // the journal: fields, and what they mean
    let journal = container.run("journalctl -u lykta -o json --no-pager");
    let started: serde_json::Value = journal
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .find(|entry: &serde_json::Value| entry["MESSAGE_ID"] == lykta::message::STARTED)
        .unwrap();
    assert_eq!(started["_SYSTEMD_UNIT"], "lykta.service");
    assert_eq!(started["SYSLOG_IDENTIFIER"], "lykta");
    let explained = container.run("journalctl -xu lykta --no-pager");
    assert!(explained.contains("Subject: lykta runs"), "{explained}");
    // nobody speaks Swedish in a tree so small, but journald has learnt it
    let learnt = fs::read(container.path("var/lib/systemd/catalog/database")).unwrap();
    assert!(String::from_utf8_lossy(&learnt).contains("lykta är igång"));
    assert!(!journal.contains(PASSWORD) && !explained.contains(PASSWORD));

    // no other rights than it needs
    let pid = container.service("MainPID");
    let of_process = container.run(&format!("cat /proc/{pid}/status; stat -c %U /proc/{pid}"));
    for line in ["NoNewPrivs:\t1", "Seccomp:\t2", "CapEff:\t0000000000000000", "lykta"] {
        assert!(of_process.lines().any(|l| l == line), "{line}: {of_process}");
    }

    // reloaded: another sensor, the same process
    let another = Sensor::new(2);
    let settings = container.path("etc/lykta/devices.d/another.toml");
    fs::write(settings, another.table("waste")).unwrap();
    container.run("chgrp lykta /etc/lykta/devices.d/another.toml");
    container.run("chmod 640 /etc/lykta/devices.d/another.toml; systemctl reload lykta");
    let told = |id: &str| {
        let of_id = format!("journalctl -u lykta -q -o cat --no-pager MESSAGE_ID={id}");
        container.run(&of_id)
    };
    wait_until("it is told", || told(lykta::message::RELOADED).contains("holds: 2 devices"));
    wait_until("it is over", || container.service("ActiveState") == "active");
    assert_eq!(container.service("MainPID"), pid);
    concentrator.forward(&[another.level(1, 80, 20)]);
    wait_until("the other one is heard", || cloud.on("/readings").len() == 2);
    // a mistake is told, and costs nothing
    container.run("echo nonsense >/etc/lykta/conf.d/wrong.toml; systemctl reload lykta");
    wait_until("it is refused", || told(lykta::message::RELOAD_REFUSED).contains("wrong.toml"));
    wait_until("it runs on", || container.service("ActiveState") == "active");
    assert_eq!(container.service("MainPID"), pid);
    container.run("rm /etc/lykta/conf.d/wrong.toml /etc/lykta/devices.d/another.toml");
    // and a bundle for whoever helps can be made on the spot
    container
        .run("lykta diagnose --out /root/lykta.tar.gz && tar -xzf /root/lykta.tar.gz -C /root");
    let unit = fs::read_to_string(container.path("root/lykta/unit.txt")).unwrap();
    assert!(unit.contains("ActiveState=active"), "{unit}");
    let journal = fs::read_to_string(container.path("root/lykta/journal.txt")).unwrap();
    assert!(journal.contains("RELOAD_REFUSED"), "{journal}");

    // hung: ended and started again
    let pid = container.service("MainPID");
    assert_ne!(pid, "0");
    container.run(&format!("kill -STOP {pid}"));
    wait_until("another one runs", || {
        container.service("NRestarts") == "1" && container.service("ActiveState") == "active"
    });
    let journal = container.run("journalctl -u lykta --no-pager");
    assert!(journal.contains("Watchdog timeout"), "{journal}");
    // one that does not hang is left alone for much longer than the watchdog waits
    let pid = container.service("MainPID");
    broker.kill();
    for f_cnt in 2..=BACKLOG + 1 {
        concentrator.forward(&[sensor.level(f_cnt, 80, 20)]);
    }
    let backlog = 2 * u64::from(BACKLOG);
    wait_until("all of it waits", || waiting(&container) >= backlog);
    let at_first = waiting(&container);

    // upgraded, with all that in the buffer
    assert_eq!(container.service("MainPID"), pid);
    install(&container, &second);
    assert_eq!(container.service("ActiveState"), "active");
    assert_ne!(container.service("MainPID"), pid, "an upgrade restarts it");
    assert_eq!(waiting(&container), at_first);
    assert_nobody_else_may_read(&container);
    assert!(container.run("cat /etc/lykta/lykta.toml").ends_with(mine));
    // and back, as after a bad one
    install(&container, &first);
    assert_eq!(container.service("ActiveState"), "active");
    assert_eq!(waiting(&container), at_first);

    // a version that does not know what a newer one has made of the buffer leaves it alone
    container.run("systemctl stop lykta");
    let database = container.path("var/lib/lykta/waste.db");
    // a newer one marks both files of a tenant; one alone would be a damaged one
    let files = ["waste.db", "waste.sessions.db"].map(|name| {
        rusqlite::Connection::open(container.path("var/lib/lykta").join(name)).unwrap()
    });
    let version = |file: &rusqlite::Connection| -> i64 {
        file.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
    };
    let ours = files.each_ref().map(version);
    files.iter().for_each(|file| file.pragma_update(None, "user_version", 99).unwrap());
    assert_ne!(container.tells("systemctl start lykta").0, Some(0));
    container.run("systemctl stop lykta");
    let journal = container.run("journalctl -u lykta --no-pager");
    assert!(journal.contains("written by a newer lykta (schema 99"), "{journal}");
    assert_eq!(files.each_ref().map(version), [99, 99]);
    for (file, ours) in files.into_iter().zip(ours) {
        file.pragma_update(None, "user_version", ours).unwrap();
    }
    container.run("chown lykta:lykta /var/lib/lykta/*; systemctl start lykta");
    assert_eq!(waiting(&container), at_first);

    // what waited arrives
    broker.restart();
    cloud.wait_for_subscription(&broker, &AS_GATEWAY);
    wait_until("everything has arrived", || cloud.on("/readings").len() > BACKLOG as usize + 1);
    wait_until("nothing waits", || waiting(&container) == 0);

    // removed: the data stays; installed again: it goes on with it; purged: nothing stays
    container.run("dpkg -r lykta");
    assert_eq!(container.service("ActiveState"), "inactive");
    assert!(database.exists() && container.path("etc/lykta/conf.d/waste.toml").exists());
    install(&container, &second);
    container.run("systemctl start lykta");
    concentrator.forward(&[sensor.level(BACKLOG + 2, 80, 20)]);
    wait_until("it is the same gateway", || cloud.on("/readings").len() > BACKLOG as usize + 2);
    what_the_next_start_finds(&container);
    with_a_radio_hat(&container);
    container.run("dpkg -P lykta");
    for gone in ["var/lib/lykta", "etc/lykta", "etc/credstore/lykta.mqtt-password", "usr/bin/lykta"]
    {
        assert!(!container.path(gone).exists(), "{gone}");
    }
    let left = container.run("find /etc /usr /var/lib -xdev -name '*lykta*' -not -path '*/dpkg/*'");
    assert_eq!(left, "", "left behind");
}

/// What root checks is what the next start will find.
fn what_the_next_start_finds(container: &Container) {
    let refused = |why: &str| {
        let (code, told) = container.tells("lykta check");
        assert!(code == Some(78) && told.contains(why), "{why}: {told}");
        told
    };
    container.run(": >/etc/credstore/lykta.mqtt-password");
    refused("the first line of");
    fs::write(container.path("etc/credstore/lykta.mqtt-password"), PASSWORD).unwrap();

    // what an import writes is for the service
    let list = "dev_eui,join_eui,app_key,name\n\
                70b3d5070000aaaa,70b3d50700000000,5f1d4a90b7c3e25660a1f4d2798bce03,gate\n";
    fs::write(container.path("root/more.csv"), list).unwrap();
    container.run(
        "umask 077; lykta device import /root/more.csv --tenant waste --profile sensoneo-single",
    );
    let imported = container.run("stat -c '%a %U:%G' /etc/lykta/devices.d/more.toml");
    assert_eq!(imported, "640 root:lykta\n");
    // what nobody reads is nobody's matter
    container.run("umask 077; echo note >/etc/lykta/devices.d/list.csv");
    container.run("lykta check && systemctl restart lykta");

    // root's alone; of a place that the service does not see; with the help that is told
    container.run("chmod 600 /etc/lykta/devices.d/more.toml");
    let told = refused("the service cannot read /etc/lykta/devices.d/more.toml");
    let (_, help) = told.split_once("= help: ").unwrap();
    container.run(help.lines().next().unwrap());
    container.run("lykta check");
    container.run("mkdir -m 700 /etc/lykta/profiles");
    refused("the service cannot read /etc/lykta/profiles");
    container.run("rmdir /etc/lykta/profiles");
    container.run("chgrp root /etc/lykta");
    let told = refused("/etc/lykta is closed to it");
    let (_, help) = told.split_once("= help: ").unwrap();
    container.run(help.lines().next().unwrap());
    container.run("lykta check");
    let key = "4".repeat(31) + &"a9".repeat(16) + "b";
    fs::write(container.path("home/care.key"), &key).unwrap();
    let care = "[[tenant]]\nid = \"care\"\nkind = \"care\"\nstore_key_file = \"/home/care.key\"\n\
                [tenant.upstream]\nurls = [\"mqtt://127.0.0.1\"]\n";
    fs::write(container.path("etc/lykta/conf.d/care.toml"), care).unwrap();
    refused("all below /home is hidden from it");
    // what is another group's stays so
    container.run("install -d -m 710 -g staff /srv/keys; cp /home/care.key /srv/keys/");
    let elsewhere = care.replace("/home/", "/srv/keys/");
    fs::write(container.path("etc/lykta/conf.d/care.toml"), elsewhere).unwrap();
    let told = refused("/srv/keys is closed to it");
    assert!(told.contains("install -m 640 -g lykta /srv/keys/care.key /etc/lykta/"), "{told}");
    assert!(!told.contains("chgrp"), "{told}");

    // a credential that the service is not handed, and then it is
    let care = care.replace("/home/care.key", "care-key");
    fs::write(container.path("etc/lykta/conf.d/care.toml"), care).unwrap();
    container.run(
        "systemd-creds encrypt --name=care-key /home/care.key \
         /etc/credstore.encrypted/lykta.care-key",
    );
    refused("the service is not handed it");
    let drop_ins = "/etc/systemd/system/lykta.service.d";
    let drop_in = "[Service]\nLoadCredentialEncrypted=care-key:lykta.care-key\n";
    fs::write(container.path("root/care.conf"), drop_in).unwrap();
    container.run(&format!("mkdir -p {drop_ins} && cp /root/care.conf {drop_ins}/"));
    container.run("systemctl daemon-reload");
    container.run("lykta check && systemctl restart lykta");

    // whoever the service is
    let other = "[Service]\nUser=nobody\nGroup=nogroup\n";
    fs::write(container.path("root/other.conf"), other).unwrap();
    container.run(&format!("cp /root/other.conf {drop_ins}/ && systemctl daemon-reload"));
    refused("the service cannot read /etc/lykta/lykta.toml");
    container.run(&format!("rm {drop_ins}/other.conf; systemctl daemon-reload; lykta check"));

    // also for who looks at the data of a gateway that has stopped, or at another one's
    container.run("systemctl stop lykta");
    let stats = container.run("lykta store stats");
    assert!(stats.contains("tenant care:"), "{stats}");
    container.run("mkdir /root/card; cp /var/lib/lykta/care.db* /root/card/");
    container.run("rm /etc/lykta/conf.d/care.toml");
    let export = "lykta store export --sessions /root/card/care.db --out /root/sessions.json";
    let (code, told) = container.tells(export);
    assert!(code == Some(78) && told.contains("--key"), "{told}");
    container.run(&format!("{export} --key /home/care.key"));
    // what root takes over is the service's
    container.run("lykta store export --sessions --tenant waste --out /root/waste.json");
    container.run("rm /var/lib/lykta/lock");
    container.run("lykta store import /root/waste.json --tenant waste");
    assert_eq!(container.run("find /var/lib/lykta ! -user lykta"), "");

    // a mistake keeps nobody from asking
    container.run("systemctl start lykta; echo '[[tenant' >/etc/lykta/conf.d/care.toml");
    assert!(container.run("lykta status").contains("tenant waste"));
    container.run("rm /etc/lykta/conf.d/care.toml /etc/credstore.encrypted/lykta.care-key");
    container.run(&format!("rm {drop_ins}/care.conf; systemctl daemon-reload"));
}

/// What its drop-in takes away, and what tells then whether the clock can be trusted.
fn with_a_radio_hat(container: &Container) {
    let drop_ins = "/etc/systemd/system/lykta.service.d";
    container.run(&format!("install -Dm 644 /usr/share/lykta/hat.conf {drop_ins}/hat.conf"));
    container.run("systemctl daemon-reload && systemctl restart lykta");
    assert!(container.run("lykta status").contains("clock unsynced"));
    let asked = "/run/systemd/timesync/synchronized";
    container.run(&format!("install -Dm 644 /dev/null {asked}"));
    assert!(container.run("lykta status").contains("clock synced"));
    container.run(&format!("touch -d '10 hours ago' {asked}"));
    assert!(container.run("lykta status").contains("clock unsynced"));
    container.run(&format!("rm -r {drop_ins}"));
    container.run("systemctl daemon-reload && systemctl restart lykta");
}
