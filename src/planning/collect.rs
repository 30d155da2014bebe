//! Plans for bins.

use super::PlanningError;
use super::draft::{Calibration, Desk, GoOn, Task};
use super::writing::{Draft, Note};
use crate::route::Plan;
use crate::route::check::Reckoning;
use crate::route::collection::{
    Collection, Language, Reason, Shortfall, Verdict, WhyOut, collection,
};
use crate::route::kpi::{self, Comparison};
use crate::route::sheet::{Instead, Kpi, Lack, LeftOut, Sheet};
use crate::units::rounded;
use std::collections::{HashMap, HashSet};

/// Tours that are only compared with are searched for with so many moves.
const COMPARED: u64 = 3000;

/// The level from which on bins are usually emptied where the fullest are chosen first.
const USUAL_THRESHOLD: f64 = 0.7;

impl Desk<'_> {
    /// Plans which bins are emptied, and in which order.
    pub(super) fn collect(
        &self,
        task: &Task,
        calibration: &mut Option<Calibration>,
        go_on: &mut GoOn<'_>,
    ) -> Result<Sheet, PlanningError> {
        let under_way = self.under_way(task);
        let mut collection = self.collection(task);
        // what can be done on the day at all is not a matter of who can still leave
        collection.problem.vehicles = self.fleet(task);
        if let Some(under_way) = &under_way {
            under_way.freeze(&mut collection.problem);
        }
        let found = self.found(&collection.problem, task, calibration, go_on)?;
        let verdicts = collection.verdicts(&found.plan);
        let notes = notes(&collection, &verdicts);
        let instead = comparison(&collection, &found.reckoning);
        let again = self.asked_again(&collection, task);
        let mut lacks = shortfalls(&collection, &found.plan);
        lacks.extend((!again.is_empty()).then(|| {
            let bins = again.len();
            Lack {
                kind: "again".to_owned(),
                text: format!(
                    "asked for again behind the vehicle, and left for the next tours: {bins}"
                ),
                text_sv: format!(
                    "efterfrågade igen efter att bilen passerat, tas nästa tur: {bins}"
                ),
            }
        }));
        let mut left_out = self.left_out(&collection, &verdicts);
        left_out.extend(again);
        let draft = Draft {
            problem: &collection.problem,
            notes,
            left_out,
            lacks,
            cost: found.reckoning.cost,
            prizes: found.reckoning.prizes,
            under_way,
            found,
        };
        let mut sheet = self.write(task, &draft);
        weigh(&mut sheet.kpi, &collection, &draft, instead.as_ref());
        Ok(sheet)
    }

    /// The bins as a problem for the whole fleet.
    fn collection(&self, task: &Task) -> Collection {
        let Task { day, now, .. } = *task;
        let mut requested: HashSet<String> =
            self.kept.asked.iter().map(|asked| asked.of.clone()).collect();
        let mut visited = self.kept.visits(now);
        if let Some(given) = &task.given {
            requested.extend(given.routes.iter().flat_map(|(_, stops)| stops).cloned());
        }
        let under_way = self.under_way(task);
        let begun: HashSet<&str> = under_way
            .iter()
            .flat_map(|under_way| under_way.stops().map(|stop| stop.id.as_str()))
            .collect();
        // what is frozen keeps what was in it
        visited.retain(|bin, _| !begun.contains(bin.as_str()));
        requested.extend(begun.iter().map(|bin| (*bin).to_owned()));
        let mut vehicles = self.scheme.vehicles(day, 0);
        vehicles.retain(|vehicle| self.reached(vehicle));
        let mut sites = self.scheme.sites(day);
        sites.retain(|site| self.ways.unreachable(site.place).is_none());
        let mut bins = self.scheme.bins(self.levels, &visited, &requested, (day, now));
        for bin in bins.iter_mut().filter(|bin| begun.contains(bin.id.as_str())) {
            // somebody was able
            bin.skills = 0;
        }
        collection(
            self.name,
            &bins,
            self.scheme.horizon(day, now),
            &self.scheme.rules(),
            self.ways.matrix.clone(),
            vehicles,
            sites,
        )
    }

    /// Bins that somebody has asked for after the vehicle had been there. None comes twice in a day.
    fn asked_again(&self, collection: &Collection, task: &Task) -> Vec<LeftOut> {
        let under_way = self.under_way(task);
        let behind = under_way.iter().flat_map(|under_way| under_way.stops());
        let behind: HashSet<&str> =
            behind.filter(|stop| stop.arrival <= task.now).map(|stop| stop.id.as_str()).collect();
        let asked = self.kept.asked.iter().filter(|asked| behind.contains(asked.of.as_str()));
        let left_out = asked.filter_map(|asked| {
            let bin = collection.assessments.iter().position(|bin| bin.id == asked.of)?;
            let position = self.ways.position(self.scheme.first_stop() + bin);
            Some(LeftOut {
                id: asked.of.clone(),
                lat: Some(position.lat()),
                lon: Some(position.lon()),
                level: None,
                must: true,
                reason: "asked for after the vehicle was there: on the next tours".to_owned(),
            })
        });
        left_out.collect()
    }

    fn left_out(&self, collection: &Collection, verdicts: &[Verdict]) -> Vec<LeftOut> {
        let first = self.scheme.first_stop();
        let out = verdicts.iter().enumerate().filter(|(_, verdict)| !verdict.reason.is_in());
        let visited = out.map(|(i, verdict)| {
            let assessment = &collection.assessments[i];
            let reason = match (verdict.reason, self.ways.unreachable(first + i)) {
                (Reason::Out(WhyOut::NoWay), Some(why)) => why.to_string(),
                (reason, _) => reason.to_string(),
            };
            let position = self.ways.position(first + i);
            LeftOut {
                id: verdict.bin.clone(),
                lat: Some(position.lat()),
                lon: Some(position.lon()),
                level: assessment.outlook.map(|outlook| rounded(outlook.level, 2)),
                must: assessment.must.is_some(),
                reason,
            }
        });
        let nowhere = self.scheme.nowhere.iter().map(|(id, bin)| {
            let level = self.levels.get(id).map(|level| level.fill.0);
            LeftOut {
                id: id.clone(),
                lat: None,
                lon: None,
                level: level.map(|level| rounded(level, 2)),
                must: level.is_some_and(|level| level >= bin.threshold_must),
                reason: format!("it has no position: add lat and lon to [bin.{id}]"),
            }
        });
        visited.chain(nowhere).collect()
    }
}

/// What is said of the bins that are visited.
fn notes(collection: &Collection, verdicts: &[Verdict]) -> HashMap<String, Note> {
    let all = collection.assessments.iter().zip(verdicts);
    let notes = all.map(|(assessment, verdict)| {
        let level = assessment.outlook.map(|outlook| rounded(outlook.level, 2));
        (assessment.id.clone(), Note { level, reason: verdict.reason.to_string() })
    });
    notes.collect()
}

/// What is lacking, before a plan and in it.
fn shortfalls(collection: &Collection, plan: &Plan) -> Vec<Lack> {
    let all = collection.shortfalls().into_iter().chain(collection.missing(plan));
    let lacks = all.map(|shortfall| Lack {
        kind: match shortfall {
            Shortfall::Vehicles => "vehicles",
            Shortfall::Capacity { .. } => "capacity",
            Shortfall::Time { .. } => "time",
            Shortfall::Missing { .. } => "missing",
            Shortfall::Excluded { .. } => "excluded",
        }
        .to_owned(),
        text: shortfall.text(Language::English),
        text_sv: shortfall.text(Language::Swedish),
    });
    lacks.collect()
}

/// The plan beside those that were not made. One of them that breaks a rule is a bug, but none of
/// the plan itself.
fn comparison(collection: &Collection, reckoning: &Reckoning) -> Option<Comparison> {
    if collection.problem.vehicles.is_empty() {
        return None;
    }
    let compared = kpi::comparison(collection, reckoning, USUAL_THRESHOLD, COMPARED);
    compared.map_err(|faults| log::debug!("a plan to compare with breaks rules: {faults:?}")).ok()
}

fn tours(kpi: &kpi::Kpi) -> Instead {
    Instead {
        km: kpi.metres as f64 / 1000.0,
        hours: rounded(kpi.seconds as f64 / 3600.0, 2),
        stops: kpi.stops,
        overflow_risk: rounded(kpi.risk, 2),
        missing: kpi.missing,
    }
}

/// How full the bins are that are emptied, what may come of the others, and what else could have
/// been driven.
fn weigh(kpi: &mut Kpi, collection: &Collection, draft: &Draft<'_>, instead: Option<&Comparison>) {
    let unserved = &draft.found.plan.unserved;
    let stops = draft.problem.stops.iter().enumerate();
    let visited: HashSet<&str> =
        stops.filter(|(i, _)| !unserved.contains(i)).map(|(_, stop)| stop.id.as_str()).collect();
    let (inside, outside): (Vec<_>, Vec<_>) =
        collection.assessments.iter().partition(|a| visited.contains(a.id.as_str()));
    let levels: Vec<f64> =
        inside.iter().filter_map(|a| a.outlook).map(|outlook| outlook.level).collect();
    kpi.mean_level =
        (!levels.is_empty()).then(|| rounded(levels.iter().sum::<f64>() / levels.len() as f64, 2));
    kpi.overflow_risk = rounded(outside.iter().map(|a| a.value.probability).sum(), 2);
    kpi.all = instead.map(|comparison| tours(&comparison.all));
    kpi.threshold = instead.map(|comparison| tours(&comparison.threshold));
}
