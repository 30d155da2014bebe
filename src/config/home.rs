//! A home: residents with their sensors, for who replays their nights, and what types alone cannot
//! say of them.

use super::care::{
    CheckSettings, DoorMode, ResidentSettings, RuleName, RuleSettings, SensorSettings,
};
use super::check::Checks;
use super::file::File;
use super::key::KeyPath;
use super::layer::{Environment, Layers};
use super::load::located;
use super::problem::Problems;
use super::read::{Read, Reader, known};
use super::schema::settings;
use super::secret::Places;
use super::source::Sources;
use super::timing::{Hours, Zone};
use crate::care::{
    Check, LATEST_ANSWER, OWN_RULES, Resident, Rule, RuleKind, Sensor, SensorKind, Window,
};
use crate::units::duration;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

settings! {
    /// A home, or several.
    pub struct Home {
        /// Where its clocks hang.
        pub timezone: Zone => "Europe/Stockholm",
        /// Who lives there.
        pub resident: Vec<ResidentSettings> = [],
    }
}

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

impl Home {
    /// Reads a file.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(path: &Path) -> Result<Vec<Resident>, Problems> {
        let problems =
            |errors| Problems { errors, warnings: Vec::new(), sources: Sources::default() };
        let file = File::read(path).map_err(|problem| problems(vec![*problem]))?;
        let layers = Layers::new(vec![file], Environment::new([]));
        let mut reader = Reader::default();
        let home = Self::read(&mut reader, &KeyPath::default(), layers.merged());
        let places = Places::new(path, None);
        let mut checks = Checks::new(&mut reader, &places);
        let residents = home.map(|home| checks.residents(&home.resident, &home.timezone.0));
        let errors = located(&layers, reader.faults);
        residents.filter(|_| errors.is_empty()).ok_or_else(|| problems(errors))
    }
}

impl Checks<'_> {
    /// The residents as they are cared for. What is wrong with them is noted.
    pub(super) fn residents(
        &mut self,
        residents: &[ResidentSettings],
        zone: &TimeZone,
    ) -> Vec<Resident> {
        let root = KeyPath::default().key("resident");
        if residents.is_empty() && self.reader.is_whole(&root) {
            self.error(&root, "there is no resident", "add [[resident]] with id and consent");
        }
        self.unique(&root, &residents.iter().map(|resident| &resident.id).collect::<Vec<_>>());
        let paths: Vec<KeyPath> = self.reader.elements_of(root).take(residents.len()).collect();
        let mut seen = HashMap::new();
        for (resident, path) in residents.iter().zip(&paths) {
            let list = path.key("sensor");
            self.unique(&list, &resident.sensor.iter().map(|s| &s.id).collect::<Vec<_>>());
            let sensors: Vec<KeyPath> =
                self.reader.elements_of(list).take(resident.sensor.len()).collect();
            for (sensor, at) in resident.sensor.iter().zip(sensors) {
                // within one home it is told above
                if let Some((_, earlier)) = seen
                    .insert(sensor.id.as_str(), (path, at.clone()))
                    .filter(|(of, _): &(&KeyPath, KeyPath)| *of != path)
                {
                    let what =
                        format!("\"{}\" is the name of another resident's sensor", sensor.id);
                    let help = "a record tells sensors apart by their names: give each its own";
                    self.twice(&at.key("id"), &earlier.key("id"), what, help);
                }
            }
        }
        let all = residents.iter().zip(&paths);
        all.filter_map(|(resident, path)| {
            let sensors = resident.sensor.iter().map(sensor).collect();
            self.resident(path, resident, zone, sensors)
        })
        .collect()
    }

    /// One resident with these sensors.
    pub(super) fn resident(
        &mut self,
        path: &KeyPath,
        settings: &ResidentSettings,
        zone: &TimeZone,
        sensors: Vec<Sensor>,
    ) -> Option<Resident> {
        let lists = ["sensor", "rule", "check"];
        let whole = lists.into_iter().all(|list| self.reader.is_whole(&path.key(list)));
        let mut paths = lists.map(|list| {
            self.reader
                .elements_of(path.key(list))
                .take(settings.sensor.len().max(settings.rule.len()).max(settings.check.len()))
                .collect::<Vec<_>>()
                .into_iter()
        });
        for (sensor, path) in settings.sensor.iter().zip(&mut paths[0]) {
            self.sensor(&path, sensor);
        }
        self.unique(
            &path.key("rule"),
            &settings.rule.iter().map(|rule| &rule.id).collect::<Vec<_>>(),
        );
        self.unique(
            &path.key("check"),
            &settings.check.iter().map(|check| &check.id).collect::<Vec<_>>(),
        );
        let mut resident = Resident {
            id: settings.id.clone(),
            consent: settings.consent && settings.cohabitant_consent != Some(false),
            cohabitant: settings.cohabitant_consent.is_some(),
            zone: zone.clone(),
            sensors,
            rules: Vec::new(),
            checks: Vec::new(),
        };
        if !whole {
            // a sensor that could not be read would be missed in rules that are right
            return None;
        }
        for (settings, path) in settings.rule.iter().zip(&mut paths[1]) {
            self.own_name(&path, &settings.id);
            let rule = self.rule(&path, settings, &resident);
            resident.rules.extend(rule);
        }
        let rules: Vec<&str> = settings.rule.iter().map(|rule| rule.id.as_str()).collect();
        for (settings, path) in settings.check.iter().zip(&mut paths[2]) {
            self.own_name(&path, &settings.id);
            if rules.contains(&settings.id.as_str()) {
                let what = format!("\"{}\" is a rule already", settings.id);
                self.error(&path.key("id"), what, "give the check a name of its own");
            }
            let checks = self.check_of(&path, settings, &resident);
            resident.checks.extend(checks);
        }
        Some(resident)
    }

    fn own_name(&mut self, path: &KeyPath, id: &str) {
        if OWN_RULES.contains(&id) {
            let what = format!("\"{id}\" is the name of what lykta decides by itself");
            self.error(&path.key("id"), what, "choose another name");
        }
    }

    fn sensor(&mut self, path: &KeyPath, sensor: &SensorSettings) {
        if sensor.heartbeat.is_some_and(|heartbeat| !(MINUTE..=7 * DAY).contains(&heartbeat)) {
            let help = "write how often the sensor speaks, from \"1min\" to \"168h\"";
            self.error(&path.key("heartbeat"), "this cannot be a heartbeat", help);
        }
        if sensor.hold.is_some_and(|hold| hold > DAY) {
            let what = "no sensor holds for longer than a day";
            self.error(&path.key("hold"), what, "write what its data sheet says, such as \"5min\"");
        }
        if sensor.loss.is_some_and(|loss| !(0.0..=0.9).contains(&loss)) {
            let help = "0.2 is one frame in five; leave it out to have it learned";
            self.error(&path.key("loss"), "this is no part of frames that is lost", help);
        }
    }

    fn rule(&mut self, path: &KeyPath, rule: &RuleSettings, of: &Resident) -> Option<Rule> {
        let faults = self.reader.faults.len();
        self.unused(path, rule);
        let named = self.named(path, &rule.sensors, of);
        let kind = self.kind(path, rule)?;
        let fits = |sensor: &Sensor| match rule.rule {
            RuleName::BedAbsence | RuleName::NotToBed | RuleName::Restless => {
                sensor.kind == SensorKind::Bed
            }
            RuleName::BathroomStay => sensor.kind == SensorKind::Toilet,
            RuleName::DoorAtNight => sensor.kind == SensorKind::Door,
            RuleName::NoMotion => sensor.kind != SensorKind::Bed,
            RuleName::NotUp => is_witness(sensor),
            RuleName::Button => sensor.kind == SensorKind::Button,
            RuleName::Inactivity => true,
        };
        let mut sensors = match named.is_empty() {
            true => numbers(of, fits),
            false => named,
        };
        if sensors.is_empty() && rule.rule == RuleName::NotUp {
            sensors = numbers(of, |sensor| sensor.kind == SensorKind::Bed);
        }
        if sensors.is_empty() && self.reader.faults.len() == faults {
            let what = format!("{} has no sensor to go by", rule.rule.as_str());
            self.error(&path.key("rule"), what, needs(rule.rule));
        }
        let witness = matches!(
            kind,
            RuleKind::BedAbsence { corroborate: true, .. }
                | RuleKind::Restless { corroborate: true, .. }
        );
        if witness && numbers(of, is_witness).is_empty() {
            let what = "there is no other sensor that sees somebody who is up";
            let help = "add a motion or door sensor, or write corroborate = false";
            self.error(&path.key("rule"), what, help);
        }
        let rule = Rule { id: rule.id.clone(), kind, sensors };
        if let Err(short) = of.support(&rule) {
            let why = match &short.sensor {
                Some(sensor) => format!("sooner than sensor \"{sensor}\" can know"),
                None => "sooner than anybody can tell".to_owned(),
            };
            let help = format!("the shortest possible is \"{}\"", duration::format(short.shortest));
            self.error(&path.key("after"), format!("this is {why}"), help);
        }
        (self.reader.faults.len() == faults).then_some(rule)
    }

    /// Keys that other rules use.
    fn unused(&mut self, path: &KeyPath, rule: &RuleSettings) {
        use RuleName::*;
        let used: &[&str] = match rule.rule {
            BedAbsence => &["window", "after", "qualify", "corroborate"],
            BathroomStay => &["window", "after", "sensors"],
            DoorAtNight if rule.mode == Some(DoorMode::Opened) => &["window", "mode", "sensors"],
            DoorAtNight => &["window", "mode", "after", "sensors"],
            NoMotion => &["window", "sensors", "warn"],
            Inactivity => &["window", "after", "sensors", "warn"],
            NotToBed => &["window"],
            NotUp => &["window", "sensors"],
            Restless => &["window", "times", "corroborate"],
            Button => &["sensors"],
        };
        for (key, given) in [
            ("window", rule.window.is_some()),
            ("after", rule.after.is_some()),
            ("qualify", rule.qualify.is_some()),
            ("corroborate", rule.corroborate.is_some()),
            ("sensors", !rule.sensors.is_empty()),
            ("mode", rule.mode.is_some()),
            ("times", rule.times.is_some()),
            ("warn", rule.warn.is_some()),
        ] {
            if given && !used.contains(&key) {
                let what = format!("{} makes no use of `{key}`", rule.rule.as_str());
                self.error(&path.key(key), what, "remove it");
            }
        }
    }

    fn kind(&mut self, path: &KeyPath, rule: &RuleSettings) -> Option<RuleKind> {
        let any =
            matches!(rule.rule, RuleName::Button | RuleName::Inactivity | RuleName::BathroomStay);
        let window = match rule.window {
            Some(hours) => window(hours),
            None if any => Window { from: Time::midnight(), to: Time::midnight() },
            None => {
                let what = format!("{} needs `window`", rule.rule.as_str());
                self.error(&path.key("window"), what, "add it, such as window = \"22:00-07:00\"");
                return None;
            }
        };
        let usual = |minutes: u32| rule.after.unwrap_or(MINUTE * minutes);
        let corroborate = rule.corroborate.unwrap_or(true);
        let kind = match rule.rule {
            RuleName::BedAbsence => RuleKind::BedAbsence {
                window,
                after: usual(15),
                qualify: rule.qualify.unwrap_or(10 * MINUTE),
                corroborate,
            },
            RuleName::BathroomStay => RuleKind::BathroomStay { window, after: usual(30) },
            RuleName::DoorAtNight => match rule.mode {
                Some(DoorMode::Opened) => RuleKind::DoorOpened { window },
                Some(DoorMode::NotReturned) => {
                    RuleKind::DoorNotReturned { window, after: usual(15) }
                }
                Some(DoorMode::LeftOpen) => RuleKind::DoorLeftOpen { window, after: usual(10) },
                None => {
                    let help = "write mode = \"opened\", \"not_returned\" or \"left_open\"";
                    self.error(&path.key("mode"), "what of the door is an alarm?", help);
                    return None;
                }
            },
            RuleName::NoMotion => {
                RuleKind::Quiet { window: Some(window), after: None, warn: rule.warn }
            }
            RuleName::Inactivity => {
                if rule.window.is_none() && rule.after.is_none() {
                    let help = "add after = \"12h\", window = \"07:00-22:00\", or both";
                    self.error(&path.key("after"), "after how long?", help);
                }
                let window = rule.window.map(|_| window);
                RuleKind::Quiet { window, after: rule.after, warn: rule.warn }
            }
            RuleName::NotToBed => RuleKind::NotToBed { window },
            RuleName::NotUp => RuleKind::NotUp { window },
            RuleName::Restless => {
                RuleKind::Restless { window, times: rule.times.unwrap_or(4), corroborate }
            }
            RuleName::Button => RuleKind::Button,
        };
        self.durations(path, rule);
        Some(kind)
    }

    fn durations(&mut self, path: &KeyPath, rule: &RuleSettings) {
        for (key, value) in [("after", rule.after), ("qualify", rule.qualify), ("warn", rule.warn)]
        {
            if value.is_some_and(|value| value > 7 * DAY || value.as_secs() == 0) {
                let help = "write a time such as \"15min\", up to \"168h\"";
                self.error(&path.key(key), "this cannot be meant here", help);
            }
        }
        if rule.times == Some(0) {
            self.error(&path.key("times"), "no times is always", "write 1 or more");
        }
        if rule.window.is_some_and(|hours| hours.to - hours.from > 86_400) {
            let help = "write hours of one day: \"22:00-07:00\"";
            self.error(&path.key("window"), "these hours are longer than a day", help);
        }
        let (Some(after), Some(hours)) = (rule.after, rule.window) else { return };
        let length = Duration::from_secs((hours.to - hours.from).into());
        if rule.rule == RuleName::Inactivity && after >= length && !length.is_zero() {
            let what = "the hours are over before: this is never an alarm";
            self.error(&path.key("after"), what, "write less than the hours of `window`");
        }
        if let Some(warn) = rule.warn.filter(|warn| *warn >= after) {
            let what = format!("{} before is before it has begun", duration::format(warn));
            self.error(&path.key("warn"), what, "write less than `after`");
        }
    }

    fn check_of(&mut self, path: &KeyPath, check: &CheckSettings, of: &Resident) -> Vec<Check> {
        let mut sensors = self.named(path, &check.sensors, of);
        if check.sensors.is_empty() {
            sensors = numbers(of, |_| true);
        }
        if sensors.is_empty() && check.sensors.is_empty() {
            let what = "there is no sensor that a check could go by";
            self.error(&path.key("id"), what, "add [[resident.sensor]]");
        }
        if check.at.is_empty() {
            self.error(&path.key("at"), "when?", "write times: [\"00:00\", \"03:00\"]");
        }
        if check.retry > LATEST_ANSWER {
            let what = "a check is answered within 30 minutes";
            self.error(&path.key("retry"), what, "write up to \"30min\"");
        }
        for (key, age) in [("fresh", check.fresh), ("lain", check.lain)] {
            if age > DAY {
                let help = "write how old a sign of life may be, such as \"15min\"";
                self.error(&path.key(key), "that is no sign of life", help);
            }
        }
        let mut times: Vec<Time> = check.at.iter().map(|time| time.0).collect();
        times.sort();
        if times.windows(2).any(|pair| pair[0] == pair[1]) {
            self.error(&path.key("at"), "a time is there twice", "write each time once");
        }
        let (retry, fresh, lain) = (check.retry, check.fresh, check.lain);
        let check =
            |at| Check { id: check.id.clone(), at, retry, fresh, lain, sensors: sensors.clone() };
        times.into_iter().map(check).collect()
    }

    /// The numbers of sensors that are named.
    fn named(&mut self, path: &KeyPath, names: &[String], of: &Resident) -> Vec<usize> {
        let all: Vec<&str> = of.sensors.iter().map(|sensor| sensor.id.as_str()).collect();
        let mut numbers = Vec::new();
        for (i, name) in names.iter().enumerate() {
            match all.iter().position(|sensor| sensor == name) {
                Some(number) => numbers.push(number),
                None => {
                    let what = format!("there is no sensor \"{name}\" in this home");
                    let at = path.key("sensors").element(i);
                    self.error(&at, what, known(name, &all, "sensors"));
                }
            }
        }
        numbers
    }
}

fn sensor(settings: &SensorSettings) -> Sensor {
    Sensor {
        id: settings.id.clone(),
        kind: settings.kind,
        hold: settings.hold.unwrap_or_default(),
        heartbeat: (settings.supervised == Some(true))
            .then_some(settings.heartbeat.unwrap_or(60 * MINUTE)),
        loss: settings.loss,
        sees_bed: settings.sees_bed,
    }
}

fn numbers(of: &Resident, fits: impl Fn(&Sensor) -> bool) -> Vec<usize> {
    let sensors = of.sensors.iter().enumerate();
    sensors.filter(|(_, sensor)| fits(sensor)).map(|(number, _)| number).collect()
}

/// Whether it can see that somebody is up.
fn is_witness(sensor: &Sensor) -> bool {
    !matches!(sensor.kind, SensorKind::Bed | SensorKind::Button) && !sensor.sees_bed
}

fn needs(rule: RuleName) -> &'static str {
    match rule {
        RuleName::BedAbsence | RuleName::NotToBed | RuleName::Restless => {
            "add a sensor of kind \"bed\""
        }
        RuleName::BathroomStay => "write sensors = […]: those in the bathroom",
        RuleName::DoorAtNight => "add a sensor of kind \"door\"",
        RuleName::Button => "add a sensor of kind \"button\"",
        RuleName::NoMotion | RuleName::NotUp | RuleName::Inactivity => "add a sensor",
    }
}

fn window(hours: Hours) -> Window {
    let time = |second: u32| {
        let (hour, minute) = (second / 3600 % 24, second / 60 % 60);
        Time::constant(hour as i8, minute as i8, (second % 60) as i8, 0)
    };
    Window { from: time(hours.from), to: time(hours.to) }
}
