//! TLS: who vouches for whom, what operations is told when it does not fit, and that a file
//! mended on disk is used without a restart.

use crate::support::{Broker, Concentrator, Lykta, Sensor, Subscriber, free_tcp_port, wait_until};
use crate::world::{lykta_at, readable_directory, told, wait_for_counters};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use std::path::{Path, PathBuf};

/// A certificate authority.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Writes `NAME.pem` and `NAME.key` for this host name or address.
    fn issue(&self, directory: &Path, name: &str, host: &str, last_year: i32) {
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(last_year, 12, 31);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        std::fs::write(directory.join(format!("{name}.pem")), certificate.pem()).unwrap();
        std::fs::write(directory.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

pub const VALID: i32 = 2090;

/// Where lykta finds its certificate, and the authority.
const CERT: &str = "identity/lykta.pem";
const CA: &str = "lykta-ca.pem";

/// A broker that talks TLS on one port and plainly, to the cloud, on another.
pub struct World {
    /// Certificates, of the broker and of lykta.
    files: tempfile::TempDir,
    pub broker: Broker,
    tls_port: u16,
    authority: Authority,
}

impl World {
    /// `require` is whether the broker asks for a client certificate.
    pub fn new(host: &str, last_year: i32, require: bool) -> Self {
        let files = readable_directory();
        let authority = Authority::new("municipality");
        let dir = files.path();
        std::fs::write(dir.join("ca.pem"), authority.0.pem()).unwrap();
        std::fs::write(dir.join("other-ca.pem"), Authority::new("somebody").0.pem()).unwrap();
        authority.issue(dir, "broker", host, last_year);
        authority.issue(dir, "client", "gw-1", VALID);
        let tls_port = free_tcp_port();
        let broker = Broker::with(&format!(
            "allow_anonymous true\nlistener {tls_port} 127.0.0.1\ncafile {0}/ca.pem\n\
             certfile {0}/broker.pem\nkeyfile {0}/broker.key\nrequire_certificate {require}\n",
            dir.display()
        ));
        Self { files, broker, tls_port, authority }
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    /// Lines of `[tenant.upstream]` with lykta's own copies of these files, which a test may
    /// exchange without the broker noticing.
    fn lykta(&self, url: &str, ca: &str, identity: Option<&str>, sensor: &Sensor) -> Lykta {
        self.give(ca, CA);
        let mut lines = format!("ca = {:?}\n", self.file(CA));
        if let Some(name) = identity {
            self.give_identity(name);
            let (cert, key) = (self.file(CERT), self.file("identity/lykta.key"));
            lines.push_str(&format!("cert = {cert:?}\nkey = {key:?}\n"));
        }
        lykta_at(url, &lines, sensor)
    }

    /// Puts a copy there at once: nobody reads half of it.
    fn give(&self, name: &str, place: &str) {
        let new = self.file(&format!("{place}.new"));
        std::fs::copy(self.file(name), &new).unwrap();
        std::fs::rename(new, self.file(place)).unwrap();
    }

    /// At once, as one does: never the one with half of the other.
    fn give_identity(&self, name: &str) {
        let directory = self.file(&format!("{name}.d"));
        std::fs::create_dir(&directory).unwrap();
        for kind in ["pem", "key"] {
            let own = directory.join(format!("lykta.{kind}"));
            std::fs::copy(self.file(&format!("{name}.{kind}")), own).unwrap();
        }
        let link = self.file("identity.new");
        std::os::unix::fs::symlink(&directory, &link).unwrap();
        std::fs::rename(link, self.file("identity")).unwrap();
    }

    pub fn url(&self) -> String {
        format!("mqtts://127.0.0.1:{}", self.tls_port)
    }
}

/// Three uplinks while there is no connection; then what is wrong is mended, and they arrive.
fn kept_until_mended(
    world: &World,
    lykta: &Lykta,
    sensor: &Sensor,
    log: &str,
    mend: impl FnOnce(),
) {
    let cloud = Subscriber::start(&world.broker, &[]);
    lykta.wait_for_log(log);
    let frames: Vec<_> = (1..=3).map(|f_cnt| sensor.level(f_cnt, 100, 5)).collect();
    Concentrator::new(1, lykta.udp).forward(&frames);
    wait_until("they are on disk", || lykta.accepted().get(&sensor.dev_eui.0) == Some(&3));
    mend();
    wait_for_counters(&cloud, 1..=3);
    assert!(cloud.on("/event/up").iter().all(|m| m.body["late"] == true));
    assert_eq!(told(lykta, "no connection to"), 1, "told once:\n{}", lykta.log().join("\n"));
}

#[test]
fn both_sides_show_a_certificate() {
    let world = World::new("127.0.0.1", VALID, true);
    let cloud = Subscriber::start(&world.broker, &[]);
    let sensor = Sensor::new(1);
    let lykta = world.lykta(&world.url(), "ca.pem", Some("client"), &sensor);
    Concentrator::new(1, lykta.udp).forward(&[sensor.level(1, 100, 5)]);
    wait_for_counters(&cloud, [1]);
    assert_eq!(told(&lykta, "no connection"), 0);
}

#[test]
fn an_authority_that_does_not_vouch_for_the_broker() {
    let world = World::new("127.0.0.1", VALID, false);
    let sensor = Sensor::new(1);
    let lykta = world.lykta(&world.url(), "other-ca.pem", None, &sensor);
    let ca = world.file(CA);
    let log = format!("the broker's certificate is not signed by an authority in {}", ca.display());
    kept_until_mended(&world, &lykta, &sensor, &log, || {
        world.give("ca.pem", CA);
    });
}

#[test]
fn a_broker_whose_certificate_has_expired() {
    let mut world = World::new("127.0.0.1", 2023, false);
    let sensor = Sensor::new(1);
    let lykta = world.lykta(&world.url(), "ca.pem", None, &sensor);
    lykta.wait_for_log(
        "the broker's certificate expired at 2023-12-31T00:00:00Z; renew it, or set this \
         gateway's clock",
    );
    Concentrator::new(1, lykta.udp).forward(&[sensor.level(1, 100, 5)]);
    wait_until("it is on disk", || lykta.accepted().get(&sensor.dev_eui.0) == Some(&1));
    world.authority.issue(world.files.path(), "broker", "127.0.0.1", VALID);
    world.broker.restart();
    let cloud = Subscriber::start(&world.broker, &[]);
    // the subscriber may come too late for the first, but not for the second
    Concentrator::new(1, lykta.udp).forward(&[sensor.level(2, 100, 5)]);
    wait_until("the second has come", || cloud.on("/event/up").iter().any(|m| m.body["fCnt"] == 2));
}

#[test]
fn a_broker_of_another_name() {
    let mut world = World::new("mqtt.example.org", VALID, false);
    let sensor = Sensor::new(1);
    let url = format!("mqtts://localhost:{}", world.tls_port);
    let lykta = world.lykta(&url, "ca.pem", None, &sensor);
    lykta.wait_for_log("the broker's certificate is for mqtt.example.org, not for localhost");
    world.authority.issue(world.files.path(), "broker", "localhost", VALID);
    world.broker.restart();
    lykta.wait_for_log("connected to mqtts://localhost");
}

#[test]
fn a_client_certificate_is_wanted_and_there_is_none() {
    let world = World::new("127.0.0.1", VALID, true);
    let sensor = Sensor::new(1);
    let lykta = world.lykta(&world.url(), "ca.pem", None, &sensor);
    lykta.wait_for_log("the broker asks for a client certificate; set cert and key");
}

#[test]
fn a_client_certificate_of_somebody_else() {
    let world = World::new("127.0.0.1", VALID, true);
    Authority::new("somebody").issue(world.files.path(), "stranger", "gw-1", VALID);
    let sensor = Sensor::new(1);
    let lykta = world.lykta(&world.url(), "ca.pem", Some("stranger"), &sensor);
    let log = format!(
        "the broker does not accept the client certificate {}: unknown authority",
        world.file(CERT).display()
    );
    kept_until_mended(&world, &lykta, &sensor, &log, || world.give_identity("client"));
}

#[test]
fn a_client_certificate_that_has_expired() {
    let world = World::new("127.0.0.1", VALID, true);
    world.authority.issue(world.files.path(), "old", "gw-1", 2023);
    let sensor = Sensor::new(1);
    let lykta = world.lykta(&world.url(), "ca.pem", Some("old"), &sensor);
    let log = format!(
        "the broker does not accept the client certificate {}: it has expired",
        world.file(CERT).display()
    );
    kept_until_mended(&world, &lykta, &sensor, &log, || world.give_identity("client"));
}

#[test]
fn an_authority_file_that_is_gone_for_a_while() {
    let world = World::new("127.0.0.1", VALID, false);
    let sensor = Sensor::new(1);
    let mut lykta = world.lykta(&world.url(), "ca.pem", None, &sensor);
    lykta.wait_for_log("connected to");
    // while the connection holds nobody asks for it
    let ca = world.file(CA);
    std::fs::remove_file(&ca).unwrap();
    crate::world::signal(&world.broker, "-STOP");
    Concentrator::new(1, lykta.udp).forward(&[sensor.level(1, 100, 5)]);
    let mut world = world;
    world.broker.restart();
    lykta.wait_for_log(&format!("ca: there is no file {}", ca.display()));
    let cloud = Subscriber::start(&world.broker, &[]);
    world.give("ca.pem", CA);
    wait_for_counters(&cloud, [1]);
    assert!(lykta.stop().success());
}

#[test]
fn tls_to_a_port_that_speaks_none_and_the_other_way_round() {
    let world = World::new("127.0.0.1", VALID, false);
    let sensor = Sensor::new(1);
    let url = format!("mqtts://127.0.0.1:{}", world.broker.port);
    let lykta = world.lykta(&url, "ca.pem", None, &sensor);
    lykta.wait_for_log("does it speak TLS on this port?");
    let lykta = lykta_at(&format!("mqtt://127.0.0.1:{}", world.tls_port), "", &sensor);
    lykta.wait_for_log("does it want TLS (mqtts://)?");
}
