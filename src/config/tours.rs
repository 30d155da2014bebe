//! What types alone cannot say of bins and plans.

use super::bin::BinSettings;
use super::check::Checks;
use super::key::KeyPath;
use super::plan::{PlanKind, PlanSettings, VehicleSettings};
use super::read::known;
use super::settings::{Settings, TenantKind};
use crate::device::Device;
use crate::route::road::Means;
use crate::units::Metres;
use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

/// The bits that a problem has for skills, less the one for a crew of two.
const MOST_SKILLS: usize = 31;

/// The block by which each extract begins is named in its first bytes.
const EXTRACT_MARK: &[u8] = b"OSMHeader";

impl Checks<'_> {
    /// Bins and plans. File names in the plans become absolute.
    pub(super) fn tours(&mut self, settings: &mut Settings) {
        let root = KeyPath::default();
        let is_planned = !settings.plan.is_empty();
        for (id, bin) in &settings.bin {
            self.bin(&root.key("bin").key(id.as_str()), bin, is_planned);
        }
        let mut plans = std::mem::take(&mut settings.plan);
        for (name, plan) in &mut plans {
            self.plan(&root.key("plan").key(name.as_str()), plan, settings);
        }
        settings.plan = plans;
        if !settings.plan.is_empty() {
            self.unplanned(settings);
        }
    }

    pub(super) fn bin(&mut self, path: &KeyPath, bin: &BinSettings, is_planned: bool) {
        match (bin.lat, bin.lon) {
            (Some(lat), Some(lon)) => self.position(path, lat, lon),
            (None, None) if !is_planned => {}
            (None, None) => {
                let help = "add lat and lon in degrees";
                self.warning(path, "this bin has no position, and is in no plan", help);
            }
            (Some(_), None) => self.error(&path.key("lat"), "`lat` without `lon`", "add `lon`"),
            (None, Some(_)) => self.error(&path.key("lon"), "`lon` without `lat`", "add `lat`"),
        }
        if !(0.05..=20.0).contains(&bin.depth_m) {
            let help = "write metres from the sensor to the floor of the empty bin, such as 1.5";
            self.error(&path.key("depth_m"), "depth_m must be from 0.05 to 20", help);
        }
        if bin.dead_zone_m.is_some_and(|least| !(0.0..bin.depth_m).contains(&least)) {
            let help = "a full bin lies nearer to the sensor than the floor of an empty one";
            self.error(
                &path.key("dead_zone_m"),
                "dead_zone_m must be less than depth_m and not less than 0",
                help,
            );
        }
        for (key, value) in
            [("threshold_must", bin.threshold_must), ("threshold_may", bin.threshold_may)]
        {
            if !(0.0..=1.0).contains(&value) || value == 0.0 {
                let help = "0 is empty and 1 is full: 0.85 is 85 %";
                let what = format!("{key} must be more than 0 and at most 1");
                self.error(&path.key(key), what, help);
            }
        }
        if !(0.0..=60.0).contains(&bin.sensor_angle_deg) {
            let help = "a sensor that looks straight down has 0; more than 60 sees a wall";
            self.error(&path.key("sensor_angle_deg"), "it must be from 0 to 60", help);
        }
        if !(-1.0..=1.0).contains(&bin.sensor_offset_m) {
            let help = "it is a matter of centimetres: 0.05; the floor is in depth_m";
            self.error(&path.key("sensor_offset_m"), "it must be from -1 to 1", help);
        }
        if !(0.5..=30.0).contains(&bin.battery_empty_v) {
            let help = "in volts, under load: 3.0 is usual, two alkaline cells end at 2.0";
            self.error(&path.key("battery_empty_v"), "it must be from 0.5 to 30", help);
        }
        let often = Duration::from_secs(60)..=Duration::from_secs(4 * 24 * 3600);
        if bin.report_interval.is_some_and(|each| !often.contains(&each)) {
            let help = "write \"1h\"; left out it is learned";
            self.error(&path.key("report_interval"), "it must be from 1min to 96h", help);
        }
        let rises = bin.volumes.windows(2).all(|pair| pair[0] <= pair[1]);
        let ends = bin.volumes.first() == Some(&0.0) && bin.volumes.last() == Some(&1.0);
        let known = (2..=64).contains(&bin.volumes.len()) && rises && ends;
        if !known && !bin.volumes.is_empty() {
            let help = "from 2 to 64 parts, the first 0.0 at the floor, the last 1.0 at full";
            self.error(&path.key("volumes"), "it must rise from 0 to 1", help);
        }
        for (key, value, most) in [
            ("volume_l", bin.volume_l, 1e6),
            ("kg_per_l", bin.kg_per_l, 100.0),
            ("most_days", bin.most_days.unwrap_or_default(), 1e4),
        ] {
            self.amount(&path.key(key), value, most);
        }
        self.crew(&path.key("crew"), bin.crew);
    }

    fn plan(&mut self, path: &KeyPath, plan: &mut PlanSettings, settings: &Settings) {
        let tenant = settings.tenant.iter().find(|tenant| tenant.id == plan.tenant);
        match tenant.map(|tenant| tenant.kind) {
            None if self.reader.is_whole(&KeyPath::default().key("tenant")) => {
                let ids: Vec<&str> = settings.tenant.iter().map(|t| t.id.as_str()).collect();
                let what = format!("there is no tenant \"{}\"", plan.tenant);
                self.error(&path.key("tenant"), what, known(plan.tenant.as_str(), &ids, "tenants"));
            }
            Some(TenantKind::Care) if plan.kind == PlanKind::Collection => {
                let help = "name a tenant of kind \"waste\", or write kind = \"patrol\"";
                self.error(&path.key("tenant"), "a care tenant has no bins", help);
            }
            Some(TenantKind::Waste) if plan.kind == PlanKind::Patrol => {
                let what = "whom a patrol visits is not for everybody who reads about waste";
                self.error(&path.key("tenant"), what, "name a tenant of kind \"care\"");
            }
            _ => {}
        }
        if plan.days.is_empty() {
            let help = "write days, such as [\"mon\", \"thu\"]; it can be asked for all the same";
            self.warning(&path.key("days"), "no day: this plan is never made by itself", help);
        }
        let at = u32::try_from(plan.at.0.duration_since(jiff::civil::Time::midnight()).as_secs());
        let last = plan.vehicle.iter().map(|vehicle| vehicle.shift.to).max();
        if let (Ok(at), Some(last)) = (at, last)
            && at + 3600 >= last
        {
            let what = "when it would be made, the last shift is over or nearly so";
            self.error(&path.key("at"), what, "write a time before the shifts");
        }
        if plan.shifts_overlap() {
            let what = "the last shift of a day goes on when the first one of the next day begins";
            let help =
                "a plan is for one day at a time: end the one before the other, or write two plans";
            self.warning(&path.key("vehicle"), what, help);
        }
        if plan.budget.as_secs_f64() < 0.1 || plan.budget.as_secs() > 3600 {
            let what = "budget must be from 100ms to 1h";
            self.error(&path.key("budget"), what, "\"20s\" is good for some hundred bins");
        }
        for (key, value) in [
            ("overflow_cost", plan.overflow_cost),
            ("overflow_hour_cost", plan.overflow_hour_cost),
            ("work_hour_cost", plan.work_hour_cost),
            ("unknown_every_days", plan.unknown_every_days),
        ] {
            self.amount(&path.key(key), value, 1e5);
        }
        if let Some(file) = &mut plan.roads {
            *file = self.places.file(file);
            let path = path.key("roads");
            self.roads(&path, file);
            self.used.push((path, file.clone()));
        }
        self.members(path, plan, settings);
        self.fleet(path, plan, settings);
        self.visits(path, plan);
    }

    /// The bins that a plan names.
    fn members(&mut self, path: &KeyPath, plan: &PlanSettings, settings: &Settings) {
        let of_devices = settings.device.iter().filter_map(|device| device.bin.as_deref());
        let there: BTreeSet<&str> =
            settings.bin.keys().map(|id| id.as_str()).chain(of_devices).collect();
        let names: Vec<&str> = there.iter().copied().collect();
        for (i, bin) in plan.bins.iter().enumerate() {
            if !there.contains(bin.as_str()) {
                let what = format!("there is no bin \"{bin}\"");
                self.error(&path.key("bins").element(i), what, known(bin, &names, "bins"));
            }
        }
        if plan.kind == PlanKind::Collection
            && plan.bins.is_empty()
            && !settings.device.iter().any(|d| d.tenant == plan.tenant && d.bin.is_some())
        {
            let what = "no device of this tenant sits in a bin: this plan will be empty";
            self.warning(path, what, "give devices a `bin`, or name bins in `bins`");
        }
    }

    /// The visits of a patrol.
    fn visits(&mut self, path: &KeyPath, plan: &PlanSettings) {
        let list = path.key("visit");
        if plan.kind == PlanKind::Collection {
            if !plan.visit.is_empty() {
                let help = "write kind = \"patrol\", in a plan of its own";
                self.error(&list, "visits are for patrols, and this plan is about bins", help);
            }
            return;
        }
        for key in ["bins", "site"] {
            if (key == "bins" && !plan.bins.is_empty()) || (key == "site" && !plan.site.is_empty())
            {
                let what = format!("a patrol has no {key}");
                self.error(&path.key(key), what, "write them in a plan of kind \"collection\"");
            }
        }
        if !plan.days.is_empty() && plan.days.len() < 7 {
            let help = "name all seven days, if there is a patrol on all";
            self.warning(&path.key("days"), "no patrol is planned on some days", help);
        }
        if plan.profile == Means::Truck {
            let help = "write profile = \"car\" or \"foot\"";
            self.warning(&path.key("profile"), "this patrol drives like a truck", help);
        }
        if plan.visit.is_empty() && self.reader.is_whole(&list) {
            let help = "add [[plan.….visit]] with id, lat and lon";
            self.warning(&list, "this patrol visits nobody", help);
        }
        let ids: Vec<&String> = plan.visit.iter().map(|visit| &visit.id).collect();
        self.unique(&list, &ids);
        let paths: Vec<KeyPath> =
            self.reader.elements_of(list.clone()).take(plan.visit.len()).collect();
        for (visit, path) in plan.visit.iter().zip(&paths) {
            self.position(path, visit.lat, visit.lon);
            self.crew(&path.key("crew"), visit.crew);
            if visit.id.contains('!') {
                let help = "`!` marks urgent visits in plans: name it otherwise";
                self.error(&path.key("id"), "a visit's name has no `!`", help);
            }
            if let Some(window) = visit.window.filter(|hours| !plan.meet_a_shift(*hours)) {
                let what = format!("nobody is on duty at {window}");
                self.error(&path.key("window"), what, "mend it, or the shifts of the vehicles");
            }
            if let Some(window) = visit.window.filter(|hours| plan.meet_twice(*hours)) {
                let what = format!("{window} is there in the evening and in the morning");
                let help = "write two visits with a name for each, or hours of one part";
                self.error(&path.key("window"), what, help);
            }
            self.able(path, &visit.skills, visit.crew, plan);
        }
    }

    /// Bins that their sensors cannot see whole.
    pub(super) fn sights(&mut self, settings: &Settings, devices: &[Device]) {
        for device in devices {
            let Some(id) = device.bin.as_deref() else { continue };
            let Some(bin) = settings.bin.get(id) else { continue };
            let Some([Metres(least), Metres(most)]) = device.profile.sight() else { continue };
            let path = KeyPath::default().key("bin").key(id).key("depth_m");
            let help = "measure it again, or take another sensor for this bin";
            if bin.depth_m > most {
                let model = &device.profile.model;
                let what = format!("its sensor ({model}) sees no farther than {most} m");
                self.warning(&path, what, help);
            } else if bin.dead_zone_m.is_none() && bin.depth_m <= least {
                let model = &device.profile.model;
                let what = format!("its sensor ({model}) sees nothing nearer than {least} m");
                self.warning(&path, what, help);
            }
        }
    }

    /// Bins of devices that are in no plan, for want of a table.
    fn unplanned(&mut self, settings: &Settings) {
        let planned: BTreeSet<_> = settings.plan.values().map(|plan| &plan.tenant).collect();
        let paths: Vec<KeyPath> =
            self.reader.elements("device").take(settings.device.len()).collect();
        for (device, path) in settings.device.iter().zip(paths) {
            if let Some(bin) = &device.bin
                && planned.contains(&device.tenant)
                && !settings.bin.contains_key(bin.as_str())
            {
                let what = format!("bin \"{bin}\" has no position, and is in no plan");
                self.warning(&path.key("bin"), what, format!("add [bin.{bin}] with lat and lon"));
            }
        }
    }

    fn fleet(&mut self, path: &KeyPath, plan: &PlanSettings, settings: &Settings) {
        for (key, ids) in [
            ("depot", plan.depot.iter().map(|depot| &depot.id).collect::<Vec<_>>()),
            ("vehicle", plan.vehicle.iter().map(|vehicle| &vehicle.id).collect()),
            ("site", plan.site.iter().map(|site| &site.id).collect()),
        ] {
            self.unique(&path.key(key), &ids);
        }
        for (key, places) in [
            ("depot", plan.depot.iter().map(|depot| (depot.lat, depot.lon)).collect::<Vec<_>>()),
            ("site", plan.site.iter().map(|site| (site.lat, site.lon)).collect()),
        ] {
            let paths: Vec<KeyPath> =
                self.reader.elements_of(path.key(key)).take(places.len()).collect();
            for (path, (lat, lon)) in paths.iter().zip(places) {
                self.position(path, lat, lon);
            }
        }
        if plan.vehicle.is_empty() && self.reader.is_whole(&path.key("vehicle")) {
            let help = "add [[plan.….vehicle]] with id, volume_l and shift";
            self.error(&path.key("vehicle"), "there is no vehicle", help);
        }
        if plan.depot.is_empty() && self.reader.is_whole(&path.key("depot")) {
            let help = "add [[plan.….depot]] with id, lat and lon";
            self.error(&path.key("depot"), "there is no depot", help);
        }
        let paths: Vec<KeyPath> =
            self.reader.elements_of(path.key("vehicle")).take(plan.vehicle.len()).collect();
        for (vehicle, path) in plan.vehicle.iter().zip(&paths) {
            self.vehicle(path, vehicle, plan);
        }
        self.skills(path, plan, settings);
    }

    fn vehicle(&mut self, path: &KeyPath, vehicle: &VehicleSettings, plan: &PlanSettings) {
        let depots: Vec<&str> = plan.depot.iter().map(|depot| depot.id.as_str()).collect();
        match &vehicle.depot {
            Some(depot) if !depots.contains(&depot.as_str()) => {
                let what = format!("there is no depot \"{depot}\"");
                self.error(&path.key("depot"), what, known(depot, &depots, "depots"));
            }
            None if depots.len() > 1 => {
                let help = format!("depots: {}", depots.join(", "));
                self.error(&path.key("depot"), "there is more than one depot: say which", help);
            }
            _ => {}
        }
        if vehicle.volume_l.is_none() && plan.kind == PlanKind::Collection {
            let help = "write what it holds in litres, such as volume_l = 40000";
            self.error(&path.key("volume_l"), "what does this vehicle hold?", help);
        }
        let volume = vehicle.volume_l.unwrap_or(1);
        for (key, value) in [("volume_l", volume), ("mass_kg", vehicle.mass_kg)] {
            if !(1..=100_000_000).contains(&value) {
                let what = format!("a vehicle with {key} = {value} can do nothing");
                self.error(&path.key(key), what, "write what it holds, such as 40000");
            }
        }
        if vehicle.shift.to <= vehicle.shift.from {
            let help = "write begin and end: \"06:00-14:30\"";
            self.error(&path.key("shift"), "this shift is over when it begins", help);
        }
        if let Some(pause) = &vehicle.pause
            && (plan.in_shifts(pause.window).to < vehicle.shift.from
                || pause.length.as_secs()
                    > u64::from(vehicle.shift.to - vehicle.shift.from.min(vehicle.shift.to)))
        {
            let what = "this break does not fit into the shift: the vehicle can never leave";
            self.error(&path.key("pause"), what, "mend its window or its length");
        }
        for (key, most) in
            [("most_stops", vehicle.most_stops), ("most_unloadings", vehicle.most_unloadings)]
        {
            if most == Some(0) && (key == "most_stops" || !plan.site.is_empty()) {
                let what = format!("a vehicle with {key} = 0 can do nothing");
                self.error(&path.key(key), what, "leave the key out for no limit");
            }
        }
        for (key, value) in [
            ("day_cost", vehicle.day_cost),
            ("km_cost", vehicle.km_cost),
            ("hour_cost", vehicle.hour_cost),
        ] {
            self.amount(&path.key(key), value, 1e5);
        }
        self.crew(&path.key("crew"), vehicle.crew);
    }

    /// Whether somebody has what the bins need.
    fn skills(&mut self, path: &KeyPath, plan: &PlanSettings, settings: &Settings) {
        let there: BTreeSet<&str> =
            plan.vehicle.iter().flat_map(|v| &v.skills).map(String::as_str).collect();
        let needed = settings.bin.values().flat_map(|bin| &bin.skills).map(String::as_str);
        if there.iter().copied().chain(needed).collect::<BTreeSet<_>>().len() > MOST_SKILLS {
            let help = format!("at most {MOST_SKILLS} are told apart");
            self.error(&path.key("vehicle"), "there are too many different skills", help);
        }
        let of_devices = settings.device.iter().filter(|device| device.tenant == plan.tenant);
        let members: BTreeSet<&str> = match plan.bins.is_empty() {
            true => of_devices.filter_map(|device| device.bin.as_deref()).collect(),
            false => plan.bins.iter().map(String::as_str).collect(),
        };
        for (id, bin) in settings.bin.iter().filter(|(id, _)| members.contains(id.as_str())) {
            let at = KeyPath::default().key("bin").key(id.as_str());
            self.able(&at, &bin.skills, bin.crew, plan);
        }
    }

    /// Whether a vehicle has the skills and the people that a stop needs.
    fn able(&mut self, stop: &KeyPath, skills: &[String], crew: u8, plan: &PlanSettings) {
        let there: BTreeSet<&str> =
            plan.vehicle.iter().flat_map(|v| &v.skills).map(String::as_str).collect();
        let names: Vec<&str> = there.iter().copied().collect();
        for skill in skills.iter().filter(|skill| !there.contains(skill.as_str())) {
            let what = format!("no vehicle of the plan has the skill \"{skill}\"");
            self.warning(&stop.key("skills"), what, known(skill, &names, "skills of vehicles"));
        }
        if crew > plan.vehicle.iter().map(|vehicle| vehicle.crew).max().unwrap_or(2) {
            let what = "no vehicle of the plan has a crew of two";
            self.warning(&stop.key("crew"), what, "write crew = 2 at a vehicle");
        }
    }

    /// That each of a list has a name of its own.
    pub(super) fn unique(&mut self, list: &KeyPath, ids: &[&String]) {
        let paths: Vec<KeyPath> = self.reader.elements_of(list.clone()).take(ids.len()).collect();
        let mut seen: HashMap<&str, &KeyPath> = HashMap::new();
        for (id, path) in ids.iter().zip(&paths) {
            if id.is_empty() || id.chars().count() > 64 || id.chars().any(char::is_control) {
                let help = "write 1 to 64 characters";
                self.error(&path.key("id"), "this name is empty, too long or not printable", help);
            }
            if let Some(earlier) = seen.insert(id, path) {
                let what = format!("\"{id}\" is there twice");
                let help = "give each a name of its own";
                self.twice(&path.key("id"), &earlier.key("id"), what, help);
            }
        }
    }

    fn position(&mut self, path: &KeyPath, lat: f64, lon: f64) {
        let help = "write degrees with decimals (WGS 84): lat = 59.3293, lon = 18.0686";
        if lat.abs() > 90.0 {
            self.error(&path.key("lat"), format!("{lat} is no latitude"), help);
        }
        if lon.abs() > 180.0 {
            self.error(&path.key("lon"), format!("{lon} is no longitude"), help);
        }
    }

    fn amount(&mut self, path: &KeyPath, value: f64, most: f64) {
        if !(0.0..=most).contains(&value) {
            self.error(path, format!("{value} cannot be meant here"), format!("0 to {most} can"));
        }
    }

    fn crew(&mut self, path: &KeyPath, crew: u8) {
        if !matches!(crew, 1 | 2) {
            self.error(path, format!("a crew of {crew} is not known"), "write 1 or 2");
        }
    }

    /// Whether there is an extract. It is read as a whole when it is needed: that takes seconds.
    fn roads(&mut self, path: &KeyPath, file: &Path) {
        let before = self.reader.faults.len();
        let mut head = [0; 64];
        match File::open(file).and_then(|mut file| file.read(&mut head)) {
            Err(error) => {
                let what = format!("{} cannot be read: {error}", file.display());
                let help = "fetch an extract, such as from https://download.geofabrik.de, cut it \
                            to the municipality, and let the service's user read it";
                self.error(path, what, help);
            }
            Ok(read) if !head[..read].windows(EXTRACT_MARK.len()).any(|w| w == EXTRACT_MARK) => {
                let what = format!("{} is no OpenStreetMap extract", file.display());
                self.error(path, what, "name a file in the format .osm.pbf");
            }
            Ok(_) => {}
        }
        // a file that is elsewhere, not a setting that is wrong
        self.reader.faults[before..].iter_mut().for_each(|fault| fault.of_machine = true);
    }
}

impl PlanSettings {
    /// The depot of a vehicle, by its number; the first where there is no such one.
    #[must_use]
    pub fn depot_of(&self, vehicle: &VehicleSettings) -> usize {
        let named = |id: &String| self.depot.iter().position(|depot| depot.id == *id);
        vehicle.depot.as_ref().and_then(named).unwrap_or(0)
    }
}
