//! A broker that does not let everybody in, or not everywhere.

use crate::support::{Broker, Concentrator, Sensor, Subscriber, wait_until};
use crate::world::{
    lykta_at, readable_directory, told, told_once, wait_for_counters, waiting, waste,
};
use std::path::Path;
use std::process::Command;

/// Makes mosquitto's file of users: `gw-1` with this password, and `cloud` with the same.
fn passwords(file: &Path, password: &str) {
    std::fs::write(file, format!("gw-1:{password}\ncloud:{password}\n")).unwrap();
    let hashed = Command::new("mosquitto_passwd").arg("-U").arg(file).status().unwrap();
    assert!(hashed.success());
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o644)).unwrap();
}

#[test]
fn a_wrong_password_is_told_once_and_a_mended_file_is_used_over_mqtt_5() {
    wrong_password(5);
}

#[test]
fn a_wrong_password_is_told_once_and_a_mended_file_is_used_over_mqtt_3_1_1() {
    wrong_password(4);
}

fn wrong_password(protocol: u8) {
    let files = readable_directory();
    let users = files.path().join("users");
    passwords(&users, "right");
    let broker = Broker::with(&format!(
        "allow_anonymous false\npassword_file {}\nconnection_messages true\nlog_dest file {}\n\
         log_type notice\n",
        users.display(),
        "/dev/null"
    ));
    let cloud = Subscriber::start(&broker, &["-u", "cloud", "-P", "right"]);
    let sensor = Sensor::new(1);
    let password = files.path().join("password");
    std::fs::write(&password, "wrong\n").unwrap();
    let lines =
        format!("protocol = {protocol}\nusername = \"gw-1\"\npassword_file = {password:?}\n");
    let lykta = lykta_at(&broker.url(), &lines, &sensor);
    lykta.wait_for_log("the broker refuses the connection: ");
    lykta.wait_for_log("check username and password_file");
    Concentrator::new(1, lykta.udp).forward(&[sensor.level(1, 100, 5)]);

    // a second trouble proves that there was another attempt since the first was told
    std::fs::remove_file(&password).unwrap();
    lykta.wait_for_log("password_file: there is no file");
    // at once: nobody reads half of it
    let new = password.with_extension("new");
    std::fs::write(&new, "right\nand a remark below it\n").unwrap();
    std::fs::rename(new, &password).unwrap();
    wait_for_counters(&cloud, [1]);
    assert_eq!(told(&lykta, "no connection to"), 2, "{}", lykta.log().join("\n"));
    assert!(lykta.log().iter().all(|line| !line.contains("right")), "no password in the log");
}

#[test]
fn a_topic_that_is_denied_holds_back_only_itself() {
    let files = readable_directory();
    let acl = files.path().join("acl");
    // the cloud may see everything, lykta may publish everything but readings
    let allow = "topic readwrite #\n";
    let deny = format!("{allow}topic deny lykta/gw-1/waste/device/70b3d50700000001/readings\n");
    std::fs::write(&acl, deny).unwrap();
    // 2.0.11 closes the connection of whoever it refuses something when the length of its
    // queues is not limited
    let mut broker = Broker::with(&format!(
        "allow_anonymous true\nmax_queued_messages 100000\nacl_file {}\n",
        acl.display()
    ));
    let cloud = Subscriber::start(&broker, &[]);
    let sensors = [Sensor::new(1), Sensor::new(2)];
    let tables: String = sensors.iter().map(|s| s.table("waste")).collect();
    let mut lykta = crate::support::Lykta::configured(&(waste(&broker.url(), "") + &tables));
    lykta.restart();
    let mut concentrator = Concentrator::new(1, lykta.udp);
    for f_cnt in 1..=20 {
        concentrator.forward(&sensors.clone().map(|sensor| sensor.level(f_cnt, 100, 5)));
    }
    wait_until("all others have come", || {
        cloud.on("/event/up").len() == 40 && cloud.on("/readings").len() == 20
    });
    lykta.wait_for_log("the broker refuses messages of tenant waste: not authorized");
    wait_until("only what was refused is left", || waiting(&lykta) == 20);
    told_once(&lykta, "the broker refuses messages");
    assert!(status(&lykta).contains("messages-refused (waste): "), "{}", status(&lykta));

    std::fs::write(&acl, allow).unwrap();
    // so that the cloud is back before lykta is
    pause(&lykta, "-STOP");
    broker.restart();
    cloud.wait_for_subscription(&broker, &[]);
    pause(&lykta, "-CONT");
    wait_until("what was refused has come", || cloud.on("/readings").len() == 40);
    wait_until("nothing is left", || waiting(&lykta) == 0);
    wait_until("all is well", || !status(&lykta).contains("messages-refused"));
    let refused = cloud.on("70b3d50700000001/readings");
    let counters: Vec<_> = refused.iter().map(|m| m.body["fCnt"].as_u64().unwrap()).collect();
    assert_eq!(counters, (1..=20).collect::<Vec<_>>(), "in order, each once");
}

#[test]
fn a_gateway_that_may_publish_nothing_is_told_before_it_has_anything_to_say() {
    let files = readable_directory();
    let acl = files.path().join("acl");
    std::fs::write(&acl, "topic read #\n").unwrap();
    let broker = Broker::with(&format!(
        "allow_anonymous true\nmax_queued_messages 100000\nacl_file {}\n",
        acl.display()
    ));
    let mut lykta = crate::support::Lykta::configured(&waste(&broker.url(), ""));
    lykta.restart();
    lykta.wait_for_log("the broker refuses the state of tenant waste: not authorized");
    assert!(status(&lykta).contains("messages-refused (waste): "), "{}", status(&lykta));
    // read again by the broker, which keeps the connection
    std::fs::write(&acl, "topic readwrite #\n").unwrap();
    broker.signal("HUP");
    let cloud = Subscriber::start(&broker, &[]);
    wait_until("it is known to be there", || {
        cloud.on("/waste/state").iter().any(|m| m.body["state"] == "online")
    });
    wait_until("all is well", || {
        let status = status(&lykta);
        status.contains("connected;") && !status.contains("messages-refused")
    });
}

fn status(lykta: &crate::support::Lykta) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_lykta"))
        .args(["status", "--config"])
        .arg(lykta.path().join("lykta.toml"))
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn pause(lykta: &crate::support::Lykta, signal: &str) {
    let sent = Command::new("kill").args([signal, &lykta.id().to_string()]).status().unwrap();
    assert!(sent.success());
}
