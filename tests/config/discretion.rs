//! No mistake in what is written of residents brings their names into the journal.

use crate::site::Site;

/// A home and a patrol. Each name of somebody or of somebody's sensor has `lind` in it.
const HOME: &str = r#"gateway = "gw-1"
state_dir = "state"
[concentrator]
[[tenant]]
id = "care"
kind = "care"
store_key_file = "keys/care"
[tenant.upstream]
urls = ["mqtt://127.0.0.1:1883"]
[plan.night]
tenant = "care"
kind = "patrol"
profile = "car"
timezone = "Europe/Stockholm"
days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
[[plan.night.depot]]
id = "base"
lat = 59.3293
lon = 18.0686
[[plan.night.vehicle]]
id = "car-1"
shift = "22:00-06:00"
[[plan.night.visit]]
id = "lind"
lat = 59.34
lon = 18.07
window = "23:00-23:30"
service = "15min"
[[plan.night.visit]]
id = "lindberg"
lat = 59.34
lon = 18.07
[[device]]
tenant = "care"
dev_eui = "70b3d50700000001"
name = "Linds entré"
profile = "browan-tbdw100"
activation = { abp = { dev_addr = "260b0001", nwk_s_key = "8f1d4a90b7c3e25660a1f4d2798bce03", app_s_key = "c9e07a5134bd286ff15e90a24c8d3b76" } }
resident = "lind"
sensor = "linds dörr"
[[device]]
tenant = "care"
dev_eui = "70b3d50700000002"
profile = "browan-tbdw100"
activation = { abp = { dev_addr = "260b0002", nwk_s_key = "8f1d4a90b7c3e25660a1f4d2798bce04", app_s_key = "c9e07a5134bd286ff15e90a24c8d3b77" } }
resident = "lindberg"
sensor = "lindbergs dörr"
[[resident]]
id = "lind"
consent = true
[[resident.sensor]]
id = "linds dörr"
kind = "door"
heartbeat = "60min"
[[resident.rule]]
id = "linds regel"
rule = "door_at_night"
mode = "not_returned"
window = "22:00-06:00"
after = "2h"
sensors = ["linds dörr"]
[[resident.check]]
id = "linds tillsyn"
at = ["00:00", "03:00"]
retry = "15min"
sensors = ["linds dörr"]
[[resident]]
id = "lindberg"
consent = true
[[resident.sensor]]
id = "lindbergs dörr"
kind = "door"
"#;

const WASTE: &str = "[[tenant]]\nid = \"waste\"\nkind = \"waste\"\n[tenant.upstream]\n\
                     urls = [\"mqtt://127.0.0.1:1883\"]\n";

/// All that the journal is told, and all that is told at the terminal.
fn told(site: &Site) -> (String, String) {
    match site.load() {
        Ok(loaded) => {
            let warnings = loaded.warnings.iter();
            warnings.map(|w| (w.brief().to_string(), w.to_string())).collect()
        }
        Err(problems) => (problems.brief().to_string(), problems.to_string()),
    }
}

fn names(text: &str) -> bool {
    text.to_lowercase().contains("lind")
}

#[test]
fn whatever_is_wrong_with_a_home_nobody_is_named() {
    let site = Site::new(HOME);
    assert_eq!(told(&site), (String::new(), String::new()));
    let lines: Vec<&str> = HOME.lines().collect();
    let (mut wrong, mut named) = (0, 0);
    let first = lines.iter().position(|line| *line == "[[plan.night.visit]]").unwrap();
    // the second resident is there for what two have to do with each other
    let last = lines.iter().rposition(|line| *line == "[[resident]]").unwrap();
    for (n, line) in lines.iter().enumerate().take(last).skip(first) {
        let others: Vec<String> = match line.split_once(" = ") {
            Some((key, value)) => {
                ["\"lindgren\"", "7", "[\"lindgren\"]", "[]", "{ lind = 1 }", "\"lind"]
                    .into_iter()
                    .map(|other| format!("{key} = {other}"))
                    // more of it, under another name, not at all, twice
                    .chain([
                        format!("{key} = \"lind\\\"gren, {}\"", "lind".repeat(20)),
                        format!("{key} = \"lind+#/\""),
                        format!("lindgren = {value}"),
                        format!("\"lind gren\" = {value}"),
                        format!("{key}s = {value}"),
                        String::new(),
                        format!("{line}\n{line}"),
                        format!("{line} # Lind\nlindgren = lind"),
                    ])
                    .collect()
            }
            None => vec![
                line.replace("]]", ".lindgren]]"),
                line.replace("]]", "").replace("[[", "[lindgren.") + "]",
                line.replace("[[", "[").replace("]]", "]"),
                String::new(),
            ],
        };
        for other in others {
            let mut changed: Vec<&str> = lines.clone();
            changed[n] = &other;
            site.write("lykta.toml", changed.join("\n"));
            let (brief, whole) = told(&site);
            assert!(!names(&brief), "{other}\n{brief}\n{whole}");
            wrong += usize::from(!whole.is_empty());
            named += usize::from(names(&whole));
        }
    }
    assert!(wrong > 200 && named > 150, "{wrong} mistakes, {named} with names");
}

#[test]
fn a_key_that_nobody_knows_is_told_by_its_place_wherever_it_stands() {
    // what is meant as a tenant of care, beside one that is right
    for (care, meant, with) in [
        ("", "", ""),
        ("[tenant", "[tennant", WASTE),
        ("kind = \"care\"", "kind = \"generic\"", WASTE),
        ("id = \"care\"", "idd = \"care\"", WASTE),
    ] {
        let site = Site::new(&(HOME.replace(care, meant) + with));
        let told = |what: &str| {
            let brief = match site.load() {
                Ok(loaded) => panic!("{what} is an error: {:?}", loaded.settings),
                Err(problems) => problems.brief().to_string(),
            };
            assert!(!names(&brief), "{what}\n{brief}");
            brief
        };
        for text in [
            "lindgren = 1",
            "[lindgren]\nlind = 1",
            "[[lindgren]]\nid = \"lind\"",
            "[plan.night.lindgren]\nlat = 1",
            "[plan.night]\nlindgren = 1",
            "[[plan.night.vehicle]]\nid = \"lindgren\"\nshift = \"lind\"",
            "[[tenant]]\nid = \"third\"\nkind = \"waste\"\nlindgren = 1",
            "[concentrator.lindgren]\nlisten = 1",
        ] {
            site.write("conf.d/more.toml", text);
            let brief = told(text);
            assert!(brief.contains("conf.d/more.toml:"), "{text}\n{brief}");
        }
        site.write("conf.d/more.toml", "");
        site.write("devices.d/more.toml", "[[lindgren]]\nid = \"lind\"");
        assert!(told("devices.d").contains("only [[device]] belongs here"));
        site.write("devices.d/more.toml", "");
        site.write("profiles/more.toml", "name = \"more\"\nlindgren = 1\n");
        assert!(told("profiles").contains("this profile does not hold"));
        std::fs::remove_file(site.path("profiles/more.toml")).unwrap();
        let problems = site.load_with(&[("LYKTA_LINDGREN", "1")]).expect_err("an unknown key");
        let brief = problems.brief().to_string();
        assert!(brief.contains("environment LYKTA_…") && !names(&brief), "{brief}");
    }
}

#[test]
fn where_there_can_be_no_home_a_key_that_nobody_knows_is_named() {
    let site = Site::new(
        "gateway = \"gw-1\"\nlindgren = 1\n[concentrator]\n[[tenant]]\nid = \"waste\"\n\
         kind = \"waste\"\n[tenant.upstream]\nurls = [\"mqtt://127.0.0.1:1883\"]\n",
    );
    let brief = site.load().expect_err("an unknown key").brief().to_string();
    assert!(brief.contains("unknown key `lindgren`"), "{brief}");
}

#[test]
fn a_home_is_told_by_its_place_and_all_else_in_full() {
    let place = |text: &str| {
        let site = Site::new(text);
        let (brief, _) = told(&site);
        site.neutral(&brief)
    };
    insta::assert_snapshot!(place(
        &HOME
            .replace("resident = \"lindberg\"", "resident = \"lindbergh\"")
            .replace("\"60min\"", "60")
            .replace("mode = ", "lindgren = ")
    ));
    // a mistyped tenant may be one of care; other devices are nobody's
    let level = "[[device]]\ntenant = \"care\"\ndev_eui = \"70b3d50700000003\"\n\
                 profile = \"lindgren\"\nactivation = { abp = { dev_addr = \"260b0003\", \
                 nwk_s_key = \"8f1d4a90b7c3e25660a1f4d2798bce05\", \
                 app_s_key = \"c9e07a5134bd286ff15e90a24c8d3b78\" } }\n";
    let with = |tenant: &str| {
        place(&format!("{HOME}{WASTE}{}", level.replace("\"care\"", &format!("\"{tenant}\""))))
    };
    assert!(!with("lindcare").contains("lind"), "{}", with("lindcare"));
    assert!(with("waste").contains("profiles: "), "{}", with("waste"));
}
