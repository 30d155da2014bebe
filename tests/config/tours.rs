//! Bins and plans in the settings.

use crate::site::{LEAST, Site};

const POSITION: &str = "\n[bin.1739]\nlat = 59.33\nlon = 18.07\n";

const PLAN: &str = "\n[plan.tours]\ntenant = \"waste\"\ntimezone = \"Europe/Stockholm\"\n\
    [[plan.tours.depot]]\nid = \"yard\"\nlat = 59.3293\nlon = 18.0686\n\
    [[plan.tours.vehicle]]\nid = \"truck-1\"\nvolume_l = 40000\nshift = \"06:00-14:30\"\n";

/// What is told of the least configuration with this plan, changed in one place.
fn told(from: &str, to: &str) -> String {
    let whole = format!("{LEAST}{POSITION}{PLAN}");
    assert!(whole.contains(from), "{from}");
    Site::new(&whole.replacen(from, to, 1)).told()
}

#[test]
fn a_plan_needs_a_depot_a_vehicle_and_bins_with_a_position() {
    assert_eq!(told("[plan", "[plan"), "ok");
    let loaded = Site::new(&format!("{LEAST}{POSITION}{PLAN}")).load().unwrap();
    let (name, plan) = loaded.settings.plan.first_key_value().unwrap();
    assert_eq!((name.as_str(), plan.seed, plan.at.0.to_string()), ("tours", 1, "04:30:00".into()));
    assert_eq!(loaded.settings.bin["1739"].depth_m, 1.5);
    assert_eq!((plan.vehicle[0].shift.from, plan.vehicle[0].shift.to), (21_600, 52_200));
}

#[test]
fn what_is_wrong_is_named_with_its_key() {
    let vehicle = "volume_l = 40000\n";
    for (from, to, key, part) in [
        ("tenant = \"waste\"\ntimezone", "tenant = \"wast\"\ntimezone", "tours.tenant", "`waste`?"),
        ("[plan.tours]\n", "[plan.tours]\ndepots = 1\n", "tours.depots", "did you mean `depot`?"),
        ("[bin.1739]\n", "[bin.1739]\ndepth = 1\n", "bin.1739.depth", "did you mean `depth_m`?"),
        ("lat = 59.33\n", "lat = 95.0\n", "bin.1739.lat", "95 is no latitude"),
        ("lat = 59.33\n", "", "bin.1739.lon", "`lon` without `lat`"),
        ("[bin.1739]\n", "[bin.1739]\ndead_zone_m = 2\n", "dead_zone_m", "less than depth_m"),
        ("[bin.1739]\n", "[bin.1739]\nthreshold_must = 85\n", "threshold_must", "0.85 is 85 %"),
        ("[bin.1739]\n", "[bin.1739]\nsensor_offset_m = 5\n", "sensor_offset_m", "centimetres"),
        ("[bin.1739]\n", "[bin.1739]\nbattery_empty_v = 3000\n", "battery_empty_v", "in volts"),
        ("[bin.1739]\n", "[bin.1739]\nreport_interval = \"1s\"\n", "report_interval", "learned"),
        ("[bin.1739]\n", "[bin.\"a/b\"]\n[bin.1739]\n", "bin.a/b", "'/' may not"),
        ("Europe/Stockholm", "Sweden", "tours.timezone", "no such time zone"),
        ("[plan.tours]\n", "[plan.tours]\nat = \"4.30\"\n", "tours.at", "\"04:30\""),
        ("[plan.tours]\n", "[plan.tours]\nat = \"14:00\"\n", "tours.at", "is over or nearly so"),
        ("[plan.tours]\n", "[plan.tours]\ndays = [\"mo\"]\n", "tours.days", "`mon`?"),
        ("[plan.tours]\n", "[plan.tours]\nbins = [\"1740\"]\n", "bins[0]", "no bin \"1740\""),
        ("[plan.tours]\n", "[plan.tours]\nroads = \"no.pbf\"\n", "tours.roads", "No such file"),
        ("[plan.tours]\n", "[plan.tours]\nroads = \"lykta.toml\"\n", "roads", "no OpenStreetMap"),
        ("[plan.tours]\n", "[plan.tours]\nprofile = \"lorry\"\n", "profile", "truck, van, car"),
        ("[plan.tours]\n", "[plan.tours]\nbudget = \"1ms\"\n", "tours.budget", "100ms to 1h"),
        (vehicle, "volume_l = 0\n", "vehicle[0].volume_l", "can do nothing"),
        (vehicle, "volume_l = 1\nmost_stops = 0\n", "most_stops", "can do nothing"),
        (vehicle, "volume_l = 1\ndepot = \"yart\"\n", "vehicle[0].depot", "did you mean `yard`?"),
        ("06:00-14:30", "6-14", "vehicle[0].shift", "\"06:00-14:30\""),
        (vehicle, "volume_l = 1\npause = { window = \"03:00-04:00\" }\n", "pause", "does not fit"),
        (vehicle, "volume_l = 1\ncrew = 3\n", "vehicle[0].crew", "write 1 or 2"),
        ("[plan.tours]", "[plan.Tours]", "plan.Tours", "'T'"),
    ] {
        let text = told(from, to);
        assert!(text.contains(key) && text.contains(part), "{to}: {text}");
        assert!(!text.ends_with("ok"), "{to} is accepted");
    }
}

#[test]
fn what_is_doubtful_is_a_warning() {
    let no_position = told(POSITION, "");
    assert!(
        no_position.contains("bin \"1739\" has no position, and is in no plan"),
        "{no_position}"
    );
    assert!(no_position.ends_with("ok"));
    let crane = told("[bin.1739]\n", "[bin.1739]\nskills = [\"crane\"]\n");
    assert!(crane.contains("no vehicle of the plan has the skill \"crane\""), "{crane}");
}

#[test]
fn two_depots_leave_a_question_and_two_of_a_name_another() {
    let second = "[[plan.tours.depot]]\nid = \"yard\"\nlat = 59.3\nlon = 18.0\n";
    let text = told("[[plan.tours.vehicle]]", &format!("{second}[[plan.tours.vehicle]]"));
    assert!(text.contains("\"yard\" is there twice"), "{text}");
    let text = told(
        "[[plan.tours.vehicle]]",
        &format!("{}[[plan.tours.vehicle]]", second.replace("yard", "north")),
    );
    assert!(text.contains("more than one depot: say which"), "{text}");
}

#[test]
fn the_environment_reaches_into_a_plan() {
    let site = Site::new(&format!("{LEAST}{POSITION}{PLAN}"));
    let loaded = site.load_with(&[("LYKTA_PLAN__TOURS__SEED", "7")]).unwrap();
    assert_eq!(loaded.settings.plan.first_key_value().unwrap().1.seed, 7);
}

const NIGHT: &str = "\n[[tenant]]\nid = \"care\"\nkind = \"care\"\nstore_key_file = \"keys/care\"\n[tenant.upstream]\n\
    urls = [\"mqtt://127.0.0.1:1883\"]\n[plan.night]\ntenant = \"care\"\nkind = \"patrol\"\n\
    timezone = \"Europe/Stockholm\"\nat = \"21:00\"\n[[plan.night.depot]]\nid = \"base\"\nlat = 59.3293\nlon = 18.0686\n\
    [[plan.night.vehicle]]\nid = \"car-1\"\nshift = \"22:00-06:00\"\n\
    [[plan.night.visit]]\nid = \"r1\"\nlat = 59.3313\nlon = 18.0716\nwindow = \"03:00-04:00\"\n";

#[test]
fn a_patrol_has_visits_in_the_hours_of_its_shifts() {
    let night = |from: &str, to: &str| {
        assert!(NIGHT.contains(from), "{from}");
        Site::new(&format!("{LEAST}{}", NIGHT.replacen(from, to, 1)))
    };
    let loaded = night("[plan", "[plan").load().unwrap();
    let plan = loaded.settings.plan.values().next().unwrap();
    let window = plan.in_shifts(plan.visit[0].window.unwrap());
    assert_eq!((window.from, window.to), (27 * 3600, 28 * 3600), "of the next morning");
    assert_eq!(window.to_string(), "03:00-04:00");
    let all_night = plan.in_shifts(lykta::config::Hours { from: 0, to: 24 * 3600 - 60 });
    assert_eq!((all_night.from, all_night.to), (0, 48 * 3600 - 60), "through midnight");
    for (from, to, key, part) in [
        ("tenant = \"care\"", "tenant = \"waste\"", "night.tenant", "not for everybody"),
        ("03:00-04:00", "12:00-13:00", "visit[0].window", "nobody is on duty at 12:00-13:00"),
        ("03:00-04:00", "02:00-23:00", "visit[0].window", "in the evening and in the morning"),
        ("22:00-06:00", "00:00-06:00", "night.at", "the last shift is over"),
        ("id = \"r1\"", "id = \"r1!1\"", "visit[0].id", "has no `!`"),
        ("at = \"21:00\"", "bins = [\"1739\"]", "night.bins", "a patrol has no bins"),
        ("lat = 59.3313", "lat = 95.0", "visit[0].lat", "95 is no latitude"),
        ("window", "crew = 3\nwindow", "visit[0].crew", "write 1 or 2"),
        ("window", "urgent = 3\nwindow", "visit[0].urgent", "did you mean `urgent_within`?"),
        ("kind = \"patrol\"", "kind = \"patrols\"", "night.kind", "did you mean `patrol`?"),
    ] {
        let text = night(from, to).told();
        assert!(text.contains(key) && text.contains(part), "{to}: {text}");
        assert!(!text.ends_with("ok"), "{to} is accepted");
    }
    for (from, to, part) in [
        ("window", "crew = 2\nwindow", "no vehicle of the plan has a crew of two"),
        ("window", "skills = [\"lift\"]\nwindow", "has the skill \"lift\""),
        ("window", "window", "no patrol is planned on some days"),
        ("window", "window", "this patrol drives like a truck"),
    ] {
        let text = night(from, to).told();
        assert!(text.contains(part) && text.ends_with("ok"), "{text}");
    }
    let day_and_night = |handover: &str| {
        let shift = |id: &str, hours: &str| {
            format!("[[plan.night.vehicle]]\nid = \"{id}\"\nshift = \"{hours}\"\n")
        };
        let day = shift("car-2", "06:00-22:00");
        let all = NIGHT.replace("22:00-06:00", &format!("22:00-{handover}"));
        let all = all.replace("[[plan.night.visit]]", &format!("{day}[[plan.night.visit]]"));
        let all = all.replace("03:00-04:00", "06:00-08:00").replace("21:00", "05:00");
        Site::new(&format!("{LEAST}{all}")).told()
    };
    assert!(day_and_night("06:00").ends_with("ok"), "{}", day_and_night("06:00"));
    let text = day_and_night("06:15");
    assert!(text.contains("the last shift of a day goes on") && text.ends_with("ok"), "{text}");
    let visits = "\n[[plan.tours.visit]]\nid = \"r1\"\nlat = 59.0\nlon = 18.0\n";
    let text = Site::new(&format!("{LEAST}{POSITION}{PLAN}{visits}")).told();
    assert!(text.contains("visits are for patrols"), "{text}");
    let text = told("volume_l = 40000\n", "");
    assert!(text.contains("what does this vehicle hold?"), "{text}");
}

#[test]
fn a_bin_that_its_sensor_cannot_see_whole_is_doubted() {
    let told = |keys: &str| Site::new(&format!("{LEAST}{POSITION}{keys}")).told();
    assert!(!told("depth_m = 2.5\n").contains("its sensor"), "{}", told("depth_m = 2.5\n"));
    let deep = told("depth_m = 3.0\n");
    assert!(deep.contains("sees no farther than 2.53 m") && deep.ends_with("ok"), "{deep}");
}
