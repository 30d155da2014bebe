//! How fast one gets on.

use super::block::Tags;
use super::profile::{Means, Profile};

/// What a kind of way is to a profile, before any other tag is read; speeds in tenths of km/h.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Usual {
    /// It is for such traffic.
    Open(u32),
    /// It is not, unless its tags say so.
    IfNamed(u32),
    /// No way to go.
    Never,
}

/// Usual speeds by kind of road in km/h: those of OSRM's car profile (`profiles/car.lua`), which
/// are what one achieves, not what is allowed.
const ROADS: [(&str, u32); 14] = [
    ("motorway", 90),
    ("motorway_link", 45),
    ("trunk", 85),
    ("trunk_link", 40),
    ("primary", 65),
    ("primary_link", 30),
    ("secondary", 55),
    ("secondary_link", 25),
    ("tertiary", 40),
    ("tertiary_link", 20),
    ("unclassified", 25),
    ("residential", 25),
    ("living_street", 10),
    ("service", 15),
];

/// What people drive on only by leave: the speed of a living street.
const BY_LEAVE: u32 = 100;

/// OSRM's walking speed, and half of it on stairs.
const WALK: u32 = 50;
const STAIRS: u32 = 25;

/// What this kind of way is to this traffic.
pub(super) fn usual(highway: &str, tags: Tags<'_>, means: Means) -> Usual {
    if means == Means::Foot {
        return on_foot(highway, tags);
    }
    if let Some((_, speed)) = ROADS.iter().find(|(kind, _)| *kind == highway) {
        return Usual::Open(speed * 10);
    }
    match highway {
        // parts of an unknown or unbuilt class: most often a street
        "road" => Usual::Open(250),
        // grades after GraphHopper's car; a lorry keeps to what bears it
        "track" => match (tags.get("tracktype"), means) {
            (Some("grade1"), _) => Usual::Open(200),
            (Some("grade2"), _) => Usual::Open(150),
            (Some("grade4" | "grade5"), _) | (_, Means::Truck) => Usual::IfNamed(100),
            _ => Usual::Open(100),
        },
        "pedestrian" | "footway" | "path" | "cycleway" | "bridleway" | "busway" => {
            Usual::IfNamed(BY_LEAVE)
        }
        _ => Usual::Never,
    }
}

/// On foot one goes wherever it is not forbidden; cycleways, too, as is the law in Sweden and
/// Norway.
fn on_foot(highway: &str, tags: Tags<'_>) -> Usual {
    match highway {
        "motorway" | "motorway_link" => Usual::Never,
        _ if tags.is("motorroad", "yes") => Usual::Never,
        "trunk" | "trunk_link" => match tags.get("sidewalk") {
            Some("both" | "left" | "right" | "yes") => Usual::Open(WALK),
            _ => Usual::IfNamed(WALK),
        },
        "steps" => Usual::Open(STAIRS),
        "track" | "road" | "pedestrian" | "footway" | "path" | "cycleway" | "bridleway"
        | "corridor" | "platform" => Usual::Open(WALK),
        "busway" => Usual::IfNamed(WALK),
        road if ROADS.iter().any(|(kind, _)| *kind == road) => Usual::Open(WALK),
        _ => Usual::Never,
    }
}

/// The speed in tenths of km/h where a limit may be posted.
///
/// As in OSRM, one drives four fifths of a posted limit on a through road, whatever is usual. On
/// residential and smaller roads, where bends and parked cars slow one down, a limit can only
/// lower the speed.
pub(super) fn limited(
    usual: u32,
    tags: Tags<'_>,
    highway: &str,
    direction: &str,
    profile: &Profile,
) -> u32 {
    if profile.means == Means::Foot {
        return usual;
    }
    let truck = profile.means == Means::Truck;
    let posted = |hgv: &str, direction: &str| {
        let mut all = tags.0.iter();
        let found = all.find(|(key, _)| {
            let rest = key.strip_prefix("maxspeed").and_then(|rest| rest.strip_prefix(hgv));
            rest == Some(direction)
        });
        found.and_then(|(_, value)| limit(value))
    };
    let own = truck.then(|| posted(":hgv", direction).or_else(|| posted(":hgv", ""))).flatten();
    let limit = own.or_else(|| posted("", direction)).or_else(|| posted("", ""));
    let small = matches!(highway, "residential" | "living_street" | "service" | "road" | "track");
    let through = !small && ROADS.iter().any(|(kind, _)| *kind == highway);
    let speed = match limit {
        Some(limit) if through => limit * 8,
        Some(limit) => usual.min(limit * 8),
        None => usual,
    };
    speed.min(profile.top_speed.saturating_mul(10)).max(10)
}

/// A posted limit in km/h: a number, perhaps of miles, or the name of a rule (`SE:urban`,
/// `DE:zone30`).
fn limit(text: &str) -> Option<u32> {
    /// The fastest that is posted anywhere.
    const MOST: u32 = 200;
    let miles = text.strip_suffix("mph").map(str::trim);
    if let Ok(number) = miles.unwrap_or(text).parse::<u32>() {
        let km = number.min(MOST) * if miles.is_some() { 16 } else { 10 } / 10;
        return (km > 0).then_some(km);
    }
    let rule = text.split_once(':').map(|(_, rule)| rule)?;
    match rule {
        "urban" => Some(50),
        "rural" => Some(80),
        "motorway" => Some(110),
        "living_street" | "walk" => Some(10),
        zone => zone.strip_prefix("zone").map(|zone| zone.trim_start_matches(':'))?.parse().ok(),
    }
    .filter(|km| (1..=MOST).contains(km))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_numbers_or_rules() {
        for (text, expected) in [
            ("50", Some(50)),
            ("30 mph", Some(48)),
            ("30mph", Some(48)),
            ("NO:urban", Some(50)),
            ("DE:zone30", Some(30)),
            ("DE:zone:30", Some(30)),
            ("none", None),
            ("0", None),
            ("DE:zone4000000000", None),
            ("signals", None),
        ] {
            assert_eq!(limit(text), expected, "{text}");
        }
    }

    #[test]
    fn a_limit_rules_through_roads_and_lowers_small_ones() {
        let speed = |highway: &str, posted: &str, profile: &Profile| {
            let tags = [("highway", highway), ("maxspeed", posted)];
            let Usual::Open(usual) = usual(highway, Tags(&tags), profile.means) else {
                panic!("{highway} is a road");
            };
            limited(usual, Tags(&tags), highway, ":forward", profile)
        };
        assert_eq!(speed("unclassified", "70", &Profile::CAR), 560);
        assert_eq!(speed("residential", "70", &Profile::CAR), 250);
        assert_eq!(speed("residential", "30", &Profile::CAR), 240);
        assert_eq!(speed("motorway", "130", &Profile::TRUCK), 800);
        assert_eq!(speed("primary", "walk", &Profile::CAR), 650);
        assert_eq!(speed("steps", "30", &Profile::FOOT), 25);
    }
}
