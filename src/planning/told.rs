//! What planning tells operations: one line for each new plan, and each trouble once.

use super::PlanningError;
use crate::message;
use crate::route::sheet::{Lack, Origin, Sheet};
use crate::units::{PlanName, TenantId, count};
use jiff::civil::Date;
use log::Level;

/// One line that asks for action: whose plan it is, its name, and what is wrong.
fn trouble(level: Level, id: &str, (tenant, plan, reason): (&TenantId, &str, &str), text: &str) {
    log::log!(
        level,
        MESSAGE_ID = id,
        LYKTA_TENANT = tenant.as_str(),
        LYKTA_PLAN = plan,
        LYKTA_REASON = reason;
        "{text}"
    );
}

/// What was remembered of a plan cannot be read.
pub(super) fn forgotten(name: &PlanName, tenant: &TenantId, error: &serde_json::Error) {
    let reason = error.to_string();
    let text = format!("plan {name} is forgotten, what was written down cannot be read: {reason}");
    trouble(Level::Error, message::PLAN_FAILED, (tenant, name.as_str(), &reason), &text);
}

/// What was told of one plan.
#[derive(Debug, Default)]
pub(super) struct Told {
    lacks: Option<(Date, Vec<Lack>)>,
    roads: Option<String>,
    failure: Option<String>,
}

impl Told {
    /// One line for each new plan, and one for each new trouble.
    pub(super) fn sheet(&mut self, tenant: &TenantId, sheet: &Sheet, roads: Option<String>) {
        self.failure = None;
        let name = sheet.name.as_str();
        if let Some(reason) = roads.as_ref().filter(|reason| self.roads.as_ref() != Some(reason)) {
            let text = format!("plan {name} is estimated by straight lines: {reason}");
            trouble(Level::Warn, message::ROADS_MISSING, (tenant, name, reason), &text);
        }
        self.roads = roads;
        let made = match sheet.origin {
            Origin::Gateway => "is made",
            Origin::Cloud => "comes from the cloud",
        };
        log::info!(
            MESSAGE_ID = message::PLAN_MADE,
            LYKTA_TENANT = tenant.as_str(),
            LYKTA_PLAN = name;
            "plan {name} for {} {made}: {} of {}, {}, {:.1} km", sheet.day,
            sheet.kpi.stops, count((sheet.kpi.stops + sheet.left_out.len()) as u64, "stop"),
            count(sheet.routes.len() as u64, "tour"), sheet.kpi.km
        );
        let lacks = (sheet.day, sheet.shortfalls.clone());
        if !sheet.shortfalls.is_empty() && self.lacks.as_ref() != Some(&lacks) {
            let texts: Vec<&str> = sheet.shortfalls.iter().map(|lack| lack.text.as_str()).collect();
            let reason = format!("{}: {}", sheet.day.strftime("%A %F"), texts.join("; "));
            let text = format!("plan {name} falls short on {reason}");
            trouble(Level::Warn, message::PLAN_SHORT, (tenant, name, &reason), &text);
        }
        self.lacks = Some(lacks);
    }

    pub(super) fn failure(
        &mut self,
        name: &PlanName,
        tenant: &TenantId,
        error: &PlanningError,
        (from_cloud, patrol): (bool, bool),
    ) {
        let faulty = matches!(error, PlanningError::Faulty(_));
        // what is wrong with a command is answered to its sender
        if error.is_theirs(from_cloud) {
            log::debug!("plan {name} is not made: {error}");
            return;
        }
        let reason = match error {
            // people are not named here
            PlanningError::Faulty(faults) if patrol => format!("{} faults", faults.len()),
            _ => error.to_string(),
        };
        if self.failure.as_ref() == Some(&reason) {
            return;
        }
        let (id, what) = match faulty {
            true => (message::PLAN_FAULTY, "breaks a rule and is not published"),
            false => (message::PLAN_FAILED, "cannot be made"),
        };
        let text = format!("plan {name} {what}: {reason}; the last one holds");
        trouble(Level::Error, id, (tenant, name.as_str(), &reason), &text);
        self.failure = Some(reason);
    }
}
