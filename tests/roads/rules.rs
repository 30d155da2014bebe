//! One town for each rule of the road.

use crate::assert_metres;
use crate::town::{Town, metres, snap, way};
use lykta::route::road::{Profile, Unreachable, Weight};

const TRUCK: Profile = Profile::TRUCK;
const CAR: Profile = Profile::CAR;
const FOOT: Profile = Profile::FOOT;

/// A square of streets with a diagonal's worth of tests.
fn square() -> Town {
    Town::drawn(&[
        "dc", //
        "ab",
    ])
}

#[test]
fn a_one_way_loop_is_driven_around() {
    let town = square().way("abcda", &[("oneway", "yes")]);
    let roads = town.roads(&TRUCK);
    assert_metres!(roads, (20.0, 0.0), (80.0, 0.0), 60);
    assert_metres!(roads, (80.0, 0.0), (20.0, 0.0), 340);
    assert_metres!(town.roads(&FOOT), (80.0, 0.0), (20.0, 0.0), 60);
    let against = square().way("abcda", &[("oneway", "-1")]).roads(&TRUCK);
    assert_metres!(against, (20.0, 0.0), (80.0, 0.0), 340);
}

#[test]
fn a_roundabout_goes_one_way() {
    let town = Town::drawn(&[
        "..n..", //
        "..c..", //
        "wdxbe", //
        "..a..",
    ]);
    // counterclockwise, as in most of the world
    let town = town.way("abcda", &[("junction", "roundabout")]);
    let town = town.way("be", &[]).way("cn", &[]).way("dw", &[]);
    let roads = town.roads(&TRUCK);
    let quarter = 141;
    assert_metres!(roads, (400.0, 100.0), (200.0, 300.0), 100 + quarter + 100);
    assert_metres!(roads, (200.0, 300.0), (400.0, 100.0), 100 + 3 * quarter + 1 + 100);
}

#[test]
fn a_gate_stops_whom_it_is_for() {
    let town = || {
        Town::drawn(&[
            "dxc", //
            "agb",
        ])
        .way("agb", &[])
        .way("adxcb", &[])
    };
    let (west, east) = ((20.0, 0.0), (180.0, 0.0));
    for (tags, truck, foot) in [
        (&[("barrier", "gate")][..], 160, 160),
        (&[("barrier", "gate"), ("locked", "yes")], 440, 440),
        (&[("barrier", "gate"), ("access", "private")], 440, 440),
        (&[("barrier", "gate"), ("access", "private"), ("foot", "yes")], 440, 160),
        (&[("barrier", "bollard")], 440, 160),
        (&[("barrier", "lift_gate")], 160, 160),
        (&[("barrier", "height_restrictor"), ("maxheight", "2.2")], 440, 160),
        (&[("barrier", "height_restrictor"), ("maxheight", "4.2")], 160, 160),
    ] {
        let town = town().tagged('g', tags);
        assert_metres!(town.roads(&TRUCK), west, east, truck);
        assert_metres!(town.roads(&FOOT), west, east, foot);
    }
}

#[test]
fn a_footpath_is_for_feet() {
    let town = square().way("abcda", &[]).way("ac", &[("highway", "footway")]);
    assert_metres!(town.roads(&TRUCK), (0.0, 0.0), (100.0, 100.0), 200);
    assert_metres!(town.roads(&FOOT), (0.0, 0.0), (100.0, 100.0), 141);
}

#[test]
fn a_weak_bridge_is_not_for_trucks() {
    for (limit, truck) in
        [(("maxweight", "7.5"), 300), (("maxheight", "3"), 300), (("maxweight", "40"), 100)]
    {
        let town = square().way("adcb", &[]).way("ab", &[("bridge", "yes"), limit]);
        assert_metres!(town.roads(&TRUCK), (0.0, 0.0), (100.0, 0.0), truck);
        assert_metres!(town.roads(&CAR), (0.0, 0.0), (100.0, 0.0), 100);
    }
    let light = Profile { mass: 7_000, ..TRUCK };
    let town = square().way("adcb", &[]).way("ab", &[("maxweight", "7.5")]);
    assert_metres!(town.roads(&light), (0.0, 0.0), (100.0, 0.0), 100);
}

/// A crossing `x` with streets 1 (from the south), 2 (to the west), 3 (to the north), 4 (to the
/// east), and 5 around from the north to the west.
fn crossing() -> Town {
    Town::drawn(&[
        "mn.", //
        "wxe", //
        ".s.",
    ])
    .way("sx", &[])
    .way("xw", &[])
    .way("xn", &[])
    .way("xe", &[])
    .way("nmw", &[])
}

const SOUTH: (f64, f64) = (100.0, 0.0);
const WEST: (f64, f64) = (0.0, 100.0);
const EAST: (f64, f64) = (200.0, 100.0);

#[test]
fn no_left_turn_is_a_way_around() {
    let free = crossing().roads(&TRUCK);
    assert_metres!(free, SOUTH, WEST, 200);
    let town = crossing().ban("no_left_turn", 1, 'x', 2);
    let roads = town.roads(&TRUCK);
    assert_eq!((roads.tally().bans, roads.tally().bans_ignored), (1, 0));
    // to the east end and back is as far as around by the north
    assert_metres!(roads, SOUTH, WEST, 400);
    assert_metres!(roads, SOUTH, EAST, 200);
    assert_metres!(roads, WEST, SOUTH, 200);
    assert_metres!(roads, EAST, WEST, 200);
    assert_metres!(town.roads(&FOOT), SOUTH, WEST, 200);
}

#[test]
fn only_straight_on_allows_nothing_else() {
    let roads = crossing().ban("only_straight_on", 1, 'x', 3).roads(&TRUCK);
    assert_metres!(roads, SOUTH, WEST, 400);
    // north is a bend, in which nobody turns back
    assert_metres!(roads, SOUTH, EAST, 600);
    assert_metres!(roads, WEST, EAST, 200);
}

#[test]
fn a_ban_is_for_whom_it_says() {
    let banned = |tags: &[(&str, &str)], profile: &Profile| {
        let mut town = crossing();
        town.restriction(tags, 1, i64::from(b'x'), 2);
        metres(&town.roads(profile), SOUTH, WEST) > 300
    };
    assert!(banned(&[("restriction", "no_left_turn")], &TRUCK));
    assert!(banned(&[("restriction:hgv", "no_left_turn")], &TRUCK));
    assert!(!banned(&[("restriction:hgv", "no_left_turn")], &CAR));
    assert!(!banned(&[("restriction", "no_left_turn"), ("except", "psv;hgv")], &TRUCK));
    assert!(banned(&[("restriction", "no_left_turn"), ("except", "psv;hgv")], &CAR));
    assert!(!banned(&[("restriction", "give_way")], &TRUCK));
}

#[test]
fn what_is_not_honoured_is_counted() {
    let mut town = crossing();
    town.restriction(&[("restriction:conditional", "no_left_turn @ (07:00-09:00)")], 1, 120, 2);
    town.street(
        vec![i64::from(b's'), i64::from(b'e')],
        &[("hgv:conditional", "no @ (22:00-06:00)")],
    );
    let by_way = vec![(1, 1, "from".to_owned()), (1, 3, "via".to_owned()), (1, 5, "to".to_owned())];
    let text = |text: &str| text.to_owned();
    let rule = vec![(text("type"), text("restriction")), (text("restriction"), text("no_u_turn"))];
    town.data.relations.push((by_way, rule));
    let roads = town.roads(&TRUCK);
    let tally = roads.tally();
    assert_eq!((tally.bans, tally.bans_ignored, tally.conditional), (0, 1, 2));
    assert_metres!(roads, SOUTH, WEST, 200);
}

#[test]
fn a_ban_in_the_middle_of_a_way_is_ambiguous() {
    let town = Town::drawn(&["n..", "wxe"]).way("wxe", &[]).way("xn", &[]);
    let roads = town.ban("no_left_turn", 1, 'x', 2).roads(&TRUCK);
    assert_eq!((roads.tally().bans, roads.tally().bans_ignored), (0, 1));
}

#[test]
fn a_closed_quarter_is_no_thoroughfare() {
    // the short way along the south is for those with business there
    let town = Town::drawn(&[
        "h..i", //
        "abcd", //
        ".ef.",
    ]);
    let business = [("motor_vehicle", "destination")];
    let town = town.way("bc", &business).way("be", &business).way("ef", &business);
    let town = town.way("fc", &business).way("ab", &[]).way("cd", &[]).way("ahid", &[]);
    let roads = town.roads(&TRUCK);
    let (west, east) = ((0.0, 100.0), (300.0, 100.0));
    assert_metres!(roads, west, east, 500);
    assert_metres!(town.roads(&FOOT), west, east, 300);
    // in, out, and within
    let inside = (150.0, 0.0);
    assert_metres!(roads, west, inside, 250);
    assert_metres!(roads, inside, east, 250);
    assert_metres!(roads, (110.0, 0.0), (150.0, 100.0), 160);
    // out on the other side is no way through: one had business there
    assert_metres!(roads, (150.0, 100.0), east, 150);
}

#[test]
fn a_closed_quarter_is_not_the_town_however_large() {
    let town = Town::drawn(&["abcdef", ".klmn."]).way("ab", &[]);
    let roads = town.way("bcdefnmlkb", &[("access", "destination")]).roads(&TRUCK);
    assert_metres!(roads, (20.0, 100.0), (450.0, 110.0), 430);
    assert_metres!(roads, (450.0, 110.0), (20.0, 100.0), 430);
}

#[test]
fn the_fastest_way_is_not_the_shortest() {
    // through the living street at 10 km/h, or around on the main road at 65
    let town = square().way("ab", &[("highway", "living_street")]);
    let roads = town.way("adcb", &[("highway", "primary")]).roads(&TRUCK);
    let (from, to) = ((0.0, 0.0), (100.0, 0.0));
    let (metres, seconds) = way(&roads, from, to, Weight::Distance);
    assert!((99..=101).contains(&metres) && seconds == 36, "{metres} {seconds}");
    let (metres, seconds) = way(&roads, from, to, Weight::Time);
    assert!((299..=301).contains(&metres) && seconds == 17, "{metres} {seconds}");
}

#[test]
fn a_dead_end_is_left_where_it_was_entered() {
    let town = Town::drawn(&["abc", ".d."]).way("abc", &[]).way("bd", &[]);
    let roads = town.roads(&TRUCK);
    let end = (100.0, 10.0);
    assert_metres!(roads, (0.0, 100.0), end, 190);
    assert_metres!(roads, end, (200.0, 100.0), 190);
}

#[test]
fn an_island_is_named() {
    let town = Town::drawn(&["ab.c........xy", "............z."]);
    let roads = town.way("abc", &[]).way("xyzx", &[]).way("bc", &[]).roads(&TRUCK);
    assert!(matches!(snap(&roads, (1_250.0, 110.0)), Err(Unreachable::CutOff { .. })));
    assert!(matches!(snap(&roads, (700.0, 100.0)), Err(Unreachable::TooFar { .. })));
    assert!(snap(&roads, (400.0, 100.0)).is_ok());
}

#[test]
fn a_yard_behind_a_gate_is_visited_from_the_street() {
    let town =
        Town::drawn(&["abc", ".g.", ".y."]).way("abc", &[]).way("bgy", &[("highway", "service")]);
    let open = town.roads(&TRUCK);
    let yard = (105.0, 40.0);
    assert!(snap(&open, yard).unwrap().distance.0 < 6.0);
    let locked = town.tagged('g', &[("barrier", "gate"), ("locked", "yes")]).roads(&TRUCK);
    let found = snap(&locked, yard).unwrap();
    assert!((59.0..62.0).contains(&found.distance.0), "{}", found.distance.0);
    assert_eq!(locked.tally().barriers, 1);
}

#[test]
fn nobody_stops_on_a_motorway() {
    let town = square().way("abcda", &[]).way("ac", &[("highway", "motorway"), ("oneway", "no")]);
    let roads = town.roads(&TRUCK);
    assert_metres!(roads, (0.0, 0.0), (100.0, 100.0), 141);
    assert!((snap(&roads, (50.0, 50.0)).unwrap().distance.0 - 50.0).abs() < 1.0);
}

#[test]
fn a_one_way_street_to_nowhere_is_no_place_to_stop() {
    let town = square().way("abda", &[]).way("bc", &[("oneway", "yes")]);
    let roads = town.roads(&TRUCK);
    let near_its_end = (100.0, 80.0);
    assert!(snap(&roads, near_its_end).unwrap().distance.0 > 30.0);
}
