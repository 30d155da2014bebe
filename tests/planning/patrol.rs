//! Whom the night patrol visits when.

use crate::running::{Running, at, plan};
use crate::support::{care_key, wait_until};
use crate::world::{BINS, PLAN, TRUCK, Town};
use jiff::{SignedDuration, Timestamp};
use lykta::clock::Clock;
use lykta::planning::{Order, Planned};
use lykta::upstream::command::Planning;
use serde_json::{Value, json};

/// A night's patrol with one car, that visits nobody.
pub(crate) const NIGHT: &str = r#"
[plan.night]
tenant = "care"
kind = "patrol"
profile = "car"
timezone = "Europe/Stockholm"
at = "21:00"
days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
iterations = 2000
[[plan.night.depot]]
id = "base"
lat = 59.3293
lon = 18.0686
[[plan.night.vehicle]]
id = "car-1"
shift = "22:00-06:00"
"#;

/// A visit somewhere north of the base, with further settings.
fn visit(id: &str, kilometres: f64, more: &str) -> String {
    let lat = 59.3293 + kilometres / 111.2;
    format!("[[plan.night.visit]]\nid = \"{id}\"\nlat = {lat}\nlon = 18.0686\n{more}\n")
}

fn three() -> String {
    let early = visit("r1", 2.0, "window = \"23:00-23:30\"");
    let late = visit("r2", 4.0, "window = \"03:00-04:00\"");
    format!("{NIGHT}{early}{late}{}", visit("r3", 6.0, ""))
}

fn night(clock: &str, settings: &str, remembered: Option<String>) -> Running {
    Running::of(Clock::simulated(at(clock), 0), settings, &[], remembered)
}

/// The stops of all tours, with their arrivals.
fn stops(plan: &Value) -> Vec<(String, Timestamp)> {
    let tours = plan["routes"].as_array().unwrap();
    let stops = tours.iter().flat_map(|tour| tour["stops"].as_array().unwrap());
    let of = |stop: &Value| {
        let arrival = stop["arrival"].as_str().unwrap().parse().unwrap();
        (stop["id"].as_str().unwrap().to_owned(), arrival)
    };
    stops.map(of).collect()
}

fn arrival(plan: &Value, id: &str) -> Timestamp {
    let stop = stops(plan).into_iter().find(|(stop, _)| stop == id);
    stop.unwrap_or_else(|| panic!("{id} is not visited: {plan}")).1
}

fn reason(plan: &Value, list: &str, id: &str) -> String {
    let all = match list {
        "leftOut" => plan["leftOut"].as_array().unwrap(),
        _ => plan["routes"][0]["stops"].as_array().unwrap(),
    };
    let found = all.iter().find(|stop| stop["id"] == id);
    found.unwrap_or_else(|| panic!("{id}: {plan}"))["reason"].as_str().unwrap().to_owned()
}

fn remembered(planned: &Planned) -> Option<String> {
    Some(planned.states[0].body.clone())
}

#[test]
fn a_night_is_planned_in_the_evening_and_each_visit_is_in_its_hours() {
    let evening = Clock::simulated(at("2026-11-23T20:59:00+01:00"), 600);
    let running = Running::of(evening, &three(), &[], None);
    let planned = running.next();
    assert_eq!(planned.tenant.as_str(), "care");
    let plan = plan(&planned);
    assert_eq!((&plan["day"], &plan["cause"]), (&json!("2026-11-23"), &json!("nightly")));
    let (early, late) = (arrival(&plan, "r1"), arrival(&plan, "r2"));
    assert!(early <= at("2026-11-23T23:30:00+01:00"), "{early}");
    assert!(late <= at("2026-11-24T04:00:00+01:00"), "{late}");
    arrival(&plan, "r3");
    assert_eq!(reason(&plan, "stops", "r2"), "agreed: 03:00-04:00");
    assert_eq!((&plan["leftOut"], &plan["shortfalls"]), (&json!([]), &json!([])));
    let back: Timestamp = plan["routes"][0]["backAt"].as_str().unwrap().parse().unwrap();
    assert!(back > at("2026-11-24T03:00:00+01:00") && back <= at("2026-11-24T06:00:00+01:00"));
}

#[test]
fn an_urgent_visit_comes_at_once_before_one_that_waits_and_stays_until_it_is_made() {
    let running = night("2026-11-23T21:05:00+01:00", &three(), None);
    let first = running.tell("x", json!({}));
    drop(running);

    // it has left at ten, and waits in front of somebody's house
    let now = at("2026-11-23T22:30:00+01:00");
    let running = night("2026-11-23T22:30:00+01:00", &three(), remembered(&first));
    let planned = running.tell("alarm", json!({ "urgent": ["r2"] }));
    let answer = planned.command.clone().unwrap().1.unwrap();
    assert_eq!(answer["stops"], 4, "the visit that was agreed stays: {answer}");
    let urgent = plan(&planned);
    let called = arrival(&urgent, "r2!1");
    assert!(called > now && called <= now + SignedDuration::from_mins(30), "{called}");
    assert!(called < arrival(&urgent, "r1"), "{urgent}");
    let why = reason(&urgent, "stops", "r2!1");
    assert_eq!(why, "urgent since 22:30, by 23:00");
    // asked again, it is the same
    let again = plan(&running.tell("again", json!({ "urgent": ["r2"] })));
    assert_eq!(stops(&again).len(), 4);
    let unknown = running.tell("who", json!({ "urgent": ["r9"] })).command.unwrap().1;
    assert_eq!(unknown.unwrap_err().code.as_str(), "invalid");
    let fewer = plan(&running.tell("calm", json!({ "withdraw": ["r2"] })));
    assert_eq!(stops(&fewer).len(), 3, "{fewer}");
    drop(running);

    // when it is made, the next call is another visit
    let settings = three();
    let running = night("2026-11-24T01:00:00+01:00", &settings, remembered(&planned));
    let twice = plan(&running.tell("second", json!({ "urgent": ["r2"] })));
    assert_eq!(arrival(&twice, "r2!1"), called, "it is done");
    assert!(arrival(&twice, "r2!2") > at("2026-11-24T01:00:00+01:00"));
    assert!(reason(&twice, "stops", "r2!1").starts_with("urgent since 22:30"));
}

#[test]
fn whoever_cannot_be_visited_in_time_is_visited_late_and_that_is_said() {
    // both want to be visited within the same minutes, far from each other
    let far = "window = \"23:00-23:05\"\nservice = \"20min\"";
    let both = format!("{NIGHT}{}{}", visit("r1", 9.0, far), visit("r2", -9.0, far));
    let running = night("2026-11-23T21:05:00+01:00", &both, None);
    let planned = running.tell("x", json!({}));
    let late = plan(&planned);
    assert_eq!(stops(&late).len(), 2);
    let due = at("2026-11-23T23:05:00+01:00");
    let arrivals = [arrival(&late, "r1"), arrival(&late, "r2")];
    assert_eq!(arrivals.iter().filter(|arrival| **arrival > due).count(), 1, "{arrivals:?}");
    assert!(arrivals.iter().all(|at| *at < due + SignedDuration::from_mins(75)), "{arrivals:?}");
    let lack = &late["shortfalls"][0];
    assert_eq!(lack["kind"], "late");
    let text = lack["text"].as_str().unwrap();
    assert!(text.starts_with("1 visit is late, by up to "), "{text}");
    assert!(!text.contains('r') || !text.contains("r1"), "nobody is named: {text}");
    assert!(lack["textSv"].as_str().unwrap().contains("1 besök"));
    let reasons = ["r1", "r2"].map(|id| reason(&late, "stops", id));
    assert_eq!(reasons.iter().filter(|reason| reason.ends_with("min late")).count(), 1);
}

#[test]
fn the_urgent_one_is_in_time_and_the_agreed_one_is_late() {
    let now = "2026-11-23T23:00:00+01:00";
    let soon = "urgent_within = \"15min\"\nservice = \"30min\"";
    let agreed = "window = \"22:00-23:20\"\nservice = \"30min\"";
    let both = format!("{NIGHT}{}{}", visit("r1", 3.0, soon), visit("r2", -3.0, agreed));
    let running = night(now, &both, None);
    let plan = plan(&running.tell("alarm", json!({ "urgent": ["r1"] })));
    assert!(arrival(&plan, "r1!1") <= at(now) + SignedDuration::from_mins(15), "{plan}");
    assert!(reason(&plan, "stops", "r2").contains("late"), "{plan}");
}

#[test]
fn what_nobody_can_do_is_named_and_not_dropped() {
    let heavy = visit("r4", 1.0, "crew = 2");
    let running = night("2026-11-23T21:05:00+01:00", &format!("{}{heavy}", three()), None);
    let planned = running.tell("x", json!({ "urgent": ["r4"] }));
    assert_eq!(planned.command.clone().unwrap().1.unwrap()["unserved"], 2);
    let plan = plan(&planned);
    assert_eq!(stops(&plan).len(), 3);
    for id in ["r4", "r4!1"] {
        let why = reason(&plan, "leftOut", id);
        assert!(why.contains("number of people"), "{why}");
    }
    assert_eq!(plan["shortfalls"][0]["text"], "2 visits cannot be made by anybody");
}

#[test]
fn the_clouds_order_of_visits_holds_also_when_somebody_is_late_by_it() {
    let running = night("2026-11-23T21:05:00+01:00", &three(), None);
    let routes = json!([{ "vehicle": "car-1", "stops": ["r2", "r1", "r3"] }]);
    let day = "2026-11-23";
    let planned = running.tell("x", json!({ "supersede": { "day": day, "routes": routes } }));
    let plan = plan(&planned);
    let order: Vec<String> = stops(&plan).into_iter().map(|(id, _)| id).collect();
    assert_eq!(order, ["r2", "r1", "r3"]);
    assert!(reason(&plan, "stops", "r1").contains("late"), "{plan}");
}

#[test]
fn the_alarm_centre_calls_and_reads_who_goes_where_on_a_topic_of_care() {
    // whenever this runs, somebody has come on duty within the last hour and stays for a day; and
    // another tenant is told nothing
    let now = jiff::Timestamp::now().in_tz("Europe/Stockholm").unwrap();
    let since = now.hour();
    let duty = format!("{since:02}:00-{:02}:59", (since + 23) % 24);
    let settings = three().replace("22:00-06:00", &duty).replace("window", "#");
    let keys = tempfile::tempdir().unwrap();
    let key = care_key(keys.path());
    let mut town = Town::with(|broker| {
        format!(
            "[[tenant]]\nid = \"care\"\nkind = \"care\"\n{key}[tenant.upstream]\n\
             urls = [\"{}\"]\nreconnect_min = \"100ms\"\n{settings}",
            broker.url()
        )
    });
    wait_until("care is online", || {
        town.cloud.on("/care/state").last().is_some_and(|m| m.body["state"] == "online")
    });
    town.send_to("care", "call", &json!({ "name": "night", "urgent": ["r2"] }));
    let reply = town.reply("call", 1);
    assert_eq!(reply["ok"], true, "{reply}");
    wait_until("it is told", || !town.cloud.on("/care/plan/night").is_empty());
    let told = town.cloud.on("/care/plan/night").remove(0).body;
    assert!(reason(&told, "stops", "r2!1").starts_with("urgent since"), "{told}");
    assert!(town.cloud.on("/waste/plan/night").is_empty());
    // what is urgent survives kill -9
    town.restart();
    town.send_to("care", "again", &json!({ "name": "night" }));
    assert_eq!(town.reply("again", 1)["result"]["stops"], 4);
    let health = || town.cloud.on("/care/health").pop().map(|health| health.body["plans"].clone());
    wait_until("its health says how old it is", || {
        health().is_some_and(|plans| plans[0]["name"] == "night" && plans[0]["madeAt"].is_string())
    });
}

#[test]
fn a_patrol_that_is_back_is_sent_again_and_nobody_is_visited_twice() {
    let short = format!("{NIGHT}{}", visit("r1", 2.0, "window = \"22:00-22:30\""));
    let running = night("2026-11-23T21:05:00+01:00", &short, None);
    let planned = running.tell("x", json!({}));
    drop(running);
    let running = night("2026-11-24T04:00:00+01:00", &short, remembered(&planned));
    let called = running.tell("alarm", json!({ "urgent": ["r1"] }));
    let again = plan(&called);
    let tours = again["routes"].as_array().unwrap();
    assert_eq!(tours.len(), 2, "the first is over, the second leaves: {again}");
    assert_eq!(tours[0], plan(&planned)["routes"][0]);
    assert_eq!(tours[1]["stops"][0]["id"], "r1!1");
    assert_eq!(tours[1]["stops"].as_array().unwrap().len(), 1);
    let leaves: Timestamp = tours[1]["leaveAt"].as_str().unwrap().parse().unwrap();
    assert_eq!(leaves, at("2026-11-24T04:05:00+01:00"), "from its base");
    drop(running);

    // under another name, and it is still known where it has been
    let renamed = short.replace("car-1", "car-9");
    let running = night("2026-11-24T04:30:00+01:00", &renamed, remembered(&called));
    let after = plan(&running.tell("y", json!({})));
    assert_eq!(stops(&after), [], "{after}");
}

#[test]
fn an_order_in_the_last_hour_of_a_night_is_for_that_night() {
    let running = night("2026-11-23T21:05:00+01:00", &three(), None);
    let planned = running.tell("x", json!({}));
    drop(running);
    let running = night("2026-11-24T05:10:00+01:00", &three(), remembered(&planned));
    let called = plan(&running.tell("alarm", json!({ "urgent": ["r1"] })));
    assert_eq!(called["day"], "2026-11-23");
    assert!(
        stops(&called)
            .iter()
            .any(|(id, at)| id == "r1!1" && *at < "2026-11-24T05:00:00Z".parse().unwrap())
    );
}

#[test]
fn a_night_in_which_clocks_are_changed_has_the_hours_that_were_agreed() {
    for (evening, o_clock) in [
        ("2026-03-28T21:05:00+01:00", "2026-03-29T03:00:00+02:00"),
        ("2026-10-24T21:05:00+02:00", "2026-10-25T03:00:00+01:00"),
    ] {
        let running = night(evening, &three(), None);
        let plan = plan(&running.tell("x", json!({})));
        let stop = plan["routes"][0]["stops"].as_array().unwrap().iter();
        let stop = stop.clone().find(|stop| stop["id"] == "r2").unwrap();
        let begin = stop.get("begin").unwrap_or(&stop["arrival"]);
        let begin: Timestamp = begin.as_str().unwrap().parse().unwrap();
        let late = begin.duration_since(at(o_clock)).as_secs();
        assert!((0..=3600).contains(&late), "{evening}: {begin}");
    }
}

#[test]
fn a_way_that_is_dear_is_gone_all_the_same() {
    let dear = format!("{NIGHT}{}", visit("r7", 40.0, ""));
    let costs = "km_cost = 15000\nday_cost = 90000\nhour_cost = 90000\nshift = ";
    let dear = dear.replace("shift = ", costs);
    let running = night("2026-11-23T21:05:00+01:00", &dear, None);
    let plan = plan(&running.tell("x", json!({})));
    assert_eq!(plan["leftOut"], json!([]), "{plan}");
    assert!(plan["cost"]["total"].as_f64().unwrap() > 90_000.0);
}

#[test]
fn many_urgent_calls_in_a_night_that_is_too_short_come_to_an_end() {
    let many: String = (0..60)
        .map(|i| visit(&format!("r{i}"), f64::from(i) / 3.0, "service = \"30min\""))
        .collect();
    let running = night("2026-11-23T22:30:00+01:00", &format!("{NIGHT}{many}"), None);
    let all: Vec<String> = (0..20).map(|i| format!("r{i}")).collect();
    let planned = running.tell("x", json!({ "urgent": all }));
    let answer = planned.command.clone().unwrap().1.unwrap();
    let served = answer["stops"].as_u64().unwrap();
    assert!(served > 8, "{answer}");
    assert_eq!(answer["unserved"].as_u64().unwrap() + served, 80);
    let plan = plan(&planned);
    let urgent = stops(&plan).iter().filter(|(id, _)| id.contains('!')).count() as u64;
    assert_eq!(urgent, served, "no agreed one instead of an urgent one");
}

#[test]
fn an_urgent_visit_that_is_withdrawn_is_not_driven_to_and_a_second_call_comes_before() {
    let running = night("2026-11-23T21:05:00+01:00", &three(), None);
    let planned = running.tell("x", json!({}));
    drop(running);
    let running = night("2026-11-23T22:30:00+01:00", &three(), remembered(&planned));
    let called = running.tell("alarm", json!({ "urgent": ["r2"] }));
    drop(running);
    // on its way to r2
    let running = night("2026-11-23T22:36:00+01:00", &three(), remembered(&called));
    let held = plan(&running.tell("more", json!({ "urgent": ["r3"] })));
    assert_eq!(arrival(&held, "r2!1"), arrival(&plan(&called), "r2!1"), "it is on its way");
    let calm = plan(&running.tell("calm", json!({ "withdraw": ["r2"] })));
    assert!(stops(&calm).iter().all(|(id, _)| id != "r2!1"), "{calm}");
    assert!(arrival(&calm, "r3!1") < arrival(&held, "r3!1"), "{calm}");
}

#[test]
fn the_cloud_may_tell_again_what_a_patrol_has_done_that_is_back() {
    let short = format!(
        "{NIGHT}{}{}",
        visit("r1", 2.0, "window = \"22:00-22:30\""),
        visit("r2", 3.0, "crew = 1")
    );
    let running = night("2026-11-23T21:05:00+01:00", &short, None);
    let planned = running.tell("x", json!({}));
    drop(running);
    let running = night("2026-11-24T01:00:00+01:00", &short, remembered(&planned));
    let routes = json!([{ "vehicle": "car-1", "stops": ["r1", "r2"] }]);
    let given = json!({ "supersede": { "day": "2026-11-23", "routes": routes } });
    let told = running.tell("again", given);
    let told = plan(&told);
    assert_eq!(told["routes"].as_array().unwrap().len(), 1, "both are made: {told}");
    let called = plan(&running.tell("alarm", json!({ "urgent": ["r2"] })));
    assert_eq!(called["routes"].as_array().unwrap().len(), 2);
}

#[test]
fn a_visit_that_was_made_stays_so_when_nobody_is_able_any_more() {
    let two = three().replace("shift = ", "crew = 2\nshift = ");
    let two = format!("{two}{}", visit("r4", 0.5, "crew = 2\nwindow = \"22:00-22:10\""));
    let running = night("2026-11-23T21:05:00+01:00", &two, None);
    let planned = running.tell("x", json!({}));
    let made = arrival(&plan(&planned), "r4");
    drop(running);
    let one = two.replacen("crew = 2\nshift", "shift", 1);
    let running = night("2026-11-23T22:40:00+01:00", &one, remembered(&planned));
    let after = plan(&running.tell("y", json!({})));
    assert_eq!(arrival(&after, "r4"), made, "{after}");
    assert_eq!(after["leftOut"], json!([]), "{after}");
}

#[test]
fn a_plan_for_bins_that_nobody_waits_for_makes_way_for_an_urgent_visit() {
    // hours of searching, and it is due
    let plan = PLAN.replace("iterations = 2000", "iterations = 4000000000\nbins = [\"1\", \"2\"]");
    let tours = format!("{BINS}{plan}{TRUCK}");
    let running = night("2026-11-23T22:30:00+01:00", &format!("{tours}{}", three()), None);
    let searches = || {
        let notice = running.board.notice(&"tours".parse().unwrap());
        notice.is_some_and(|notice| notice.search.is_some())
    };
    // the night's plan is made before it
    let first = running.next();
    assert_eq!(first.messages[0].topic, "plan/night");
    wait_until("it searches for tours", searches);
    let args = json!({ "name": "night", "urgent": ["r1"] });
    let planning = Planning::parse(args.as_object().unwrap()).unwrap();
    assert!(running.desk.pass(Order::Command { id: "alarm".into(), planning }));
    let planned = running.next();
    assert_eq!(planned.command.as_ref().map(|(id, _)| id.as_str()), Some("alarm"));
    assert!(stops(&crate::running::plan(&planned)).iter().any(|(id, _)| id == "r1!1"));
    wait_until("it searches again", searches);
}
