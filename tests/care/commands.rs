//! What staff says is done once, and answered.

use crate::world::{HOME, MINUTE, World};
use lykta::store::Room;
use serde_json::json;

/// Somebody is out of bed and missed.
async fn missed() -> World {
    let mut world = World::new("2026-11-22T21:00:00Z");
    world.is_up_for(15).await;
    assert_eq!(world.alarms(), ["alarm up primary"]);
    world
}

#[tokio::test(start_paused = true)]
async fn who_answers_is_waited_for_and_the_others_are_told() {
    let mut world = missed().await;
    let alarm = world.on("/alarm")[0]["alarm"].clone();
    world.pass(2 * MINUTE).await;
    let args = json!({ "alarm": alarm, "by": "secondary" });
    world.send("acknowledge", "a", &args);
    // and again, as a sender does that has heard nothing; also of another life
    world.send("acknowledge", "a", &args);
    world.start();
    world.send("acknowledge", "a", &args);
    let answers = world.answers("a");
    assert!(answers.iter().all(|answer| answer["result"]["state"] == "answered"), "{answers:?}");
    let told = ["alarm up primary", "alarm up secondary", "answered up primary"];
    assert_eq!(world.calls(), told);
    world.pass(50 * MINUTE).await;
    assert_eq!(world.calls(), told, "nobody else is called while somebody goes");
    let done =
        world.command("acknowledge", json!({ "alarm": alarm, "by": "secondary", "done": true }));
    assert_eq!(done["result"]["state"], "closed");
    assert_eq!(world.alarms().last().unwrap(), "cleared up primary,secondary");
    let again = world.command("acknowledge", json!({ "alarm": alarm, "by": "primary" }));
    assert_eq!(again["error"]["code"], "unknown_alarm");
}

#[tokio::test(start_paused = true)]
async fn staff_that_is_there_ends_alarms_and_is_taken_to_have_gone() {
    let mut world = missed().await;
    let reply = world.command("staff", json!({ "resident": "r1", "present": true }));
    assert_eq!(reply["result"]["state"], "staff");
    assert_eq!(
        world.alarms()[1..],
        ["cleared up primary", "warning staff"],
        "the alarm is over, and the mode is told"
    );
    world.pass(61 * MINUTE).await;
    let alarms = world.alarms();
    assert_eq!(alarms.last().unwrap(), "cleared staff", "{alarms:?}");
}

#[tokio::test(start_paused = true)]
async fn who_is_in_hospital_is_not_missed() {
    let mut world = World::new("2026-11-22T21:00:00Z");
    world.moves(false);
    let reply = world.command("away", json!({ "resident": "r1", "away": true }));
    assert_eq!(reply["result"]["until"], "2026-12-06T21:00:00Z");
    world.start();
    world.until("2026-11-23T05:00:00Z").await;
    assert_eq!(world.checks(), []);
    let reply = world.command("away", json!({ "resident": "r1", "away": false }));
    assert_eq!(reply["result"]["state"], "home");
}

#[tokio::test(start_paused = true)]
async fn an_alarm_that_waits_outlives_the_database() {
    let mut world = missed().await;
    world.forgets().await;
    world.read_outbox();
    world.start();
    world.pass(5 * MINUTE).await;
    let calls = world.calls();
    assert!(calls.contains(&"alarm up patrol_lead".to_owned()), "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn where_it_is_lost_who_was_called_somebody_is_called_anew() {
    for visited in [false, true] {
        let mut world = missed().await;
        if visited {
            let alarm = world.on("r1/alarm").pop().unwrap()["alarm"].clone();
            world.command("acknowledge", json!({ "alarm": alarm, "by": "primary", "done": true }));
        }
        let before = world.calls().len();
        world.start();
        assert_eq!(world.calls()[before..], [""; 0], "a start alone calls nobody");
        world.is_changed(Room::Care, "/alarms", "");
        world.start();
        world.pass(3 * MINUTE).await;
        assert_eq!(world.calls()[before..], ["alarm up primary", "alarm up secondary"]);
    }
}

#[tokio::test(start_paused = true)]
async fn who_was_called_hears_that_somebody_is_cared_for_no_longer() {
    let mut world = missed().await;
    let alarms = world.kept(Room::Care, "/alarms").replace("r1", "r9");
    world.is_changed(Room::Care, "/alarms", &alarms);
    world.start();
    let told = world.on("r9/alarm");
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(
        (&told[0]["kind"], &told[0]["call"]["to"][0]),
        (&"cleared".into(), &"primary".into())
    );
    world.pass(30 * MINUTE).await;
    assert_eq!(world.on("r9/alarm").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_alarm_outlives_its_rule_until_somebody_was_there() {
    let mut world = missed().await;
    world.agrees(&HOME.replace("id = \"up\"", "id = \"bed\""));
    world.start();
    let before = world.calls().len();
    world.pass(3 * MINUTE).await;
    assert_eq!(world.calls()[before..], ["alarm up secondary"]);
    let alarm = world.on("r1/alarm").pop().unwrap()["alarm"].clone();
    world.command("acknowledge", json!({ "alarm": alarm, "by": "primary", "done": true }));
    let over = world.calls().len();
    world.pass(60 * MINUTE).await;
    let later = &world.calls()[over..];
    assert!(!later.iter().any(|call| call.starts_with("alarm up")), "{later:?}");
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_takes_nothing_for_long_costs_no_alarm_that_waits() {
    let mut world = World::new("2026-11-22T21:00:00Z");
    world.is_up_for(14).await;
    world.refuse(true);
    world.pass(MINUTE).await;
    // more than is kept in memory
    for n in 0..2_100 {
        world.send("staff", &format!("s{n}"), &json!({ "resident": "r1", "present": false }));
    }
    world.pass(MINUTE / 2).await;
    world.refuse(false);
    world.pass(MINUTE / 2).await;
    world.start();
    let before = world.calls();
    assert!(before.contains(&"alarm up primary".to_owned()), "{before:?}");
    world.pass(4 * MINUTE).await;
    assert_eq!(world.calls()[before.len()..], ["alarm up secondary", "alarm up patrol_lead"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_is_refused_and_named() {
    let mut world = World::new("2026-11-22T21:00:00Z");
    for (name, args, code) in [
        ("staff", json!({ "resident": "r9", "present": true }), "unknown_resident"),
        ("away", json!({ "resident": "r1" }), "invalid"),
        ("consent", json!({ "resident": "r9", "given": false }), "unknown_resident"),
        ("acknowledge", json!({ "alarm": "r1/up/1", "by": "primary" }), "unknown_alarm"),
        ("check", json!({}), "unknown_command"),
    ] {
        let reply = world.command(name, args);
        assert_eq!(reply["error"]["code"], code, "{reply}");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_presses_the_button_of_the_gateway_answers() {
    let mut world = missed().await;
    assert_eq!(world.counters.of_care().unanswered, 1, "the buzzer sounds");
    world.press();
    let counts = world.counters.of_care();
    assert_eq!((counts.alarms, counts.unanswered), (1, 0));
    assert_eq!(world.calls(), ["alarm up primary", "answered up primary"]);
    world.pass(50 * MINUTE).await;
    assert_eq!(world.calls().len(), 2);
    // nobody came
    world.pass(11 * MINUTE).await;
    assert_eq!(world.calls().last().unwrap(), "alarm up secondary");
}

#[tokio::test(start_paused = true)]
async fn an_alarm_holds_back_no_rule_of_its_name_that_says_something_else() {
    let mut world = missed().await;
    world.agrees(&HOME.replace("rule = \"bed_absence\"", "rule = \"restless\"\ntimes = 2"));
    world.start();
    for _ in 0..3 {
        world.is_up_for(10).await;
    }
    let raised = world.calls().into_iter().filter(|call| call == "alarm up primary").count();
    assert_eq!(raised, 2, "{:?}", world.calls());
}

#[tokio::test(start_paused = true)]
async fn a_check_that_has_begun_is_answered_when_the_resident_goes_away() {
    let mut world = World::new("2026-11-22T21:00:00Z");
    world.until("2026-11-22T23:05:00Z").await;
    world.command("away", json!({ "resident": "r1", "away": true }));
    world.until("2026-11-23T05:00:00Z").await;
    assert_eq!(world.checks(), [("2026-11-22T23:00:00Z".to_owned(), "fault".to_owned())]);
    let told = ["alarm night patrol_lead", "warning away", "cleared night patrol_lead"];
    assert_eq!(world.alarms(), told);
}
