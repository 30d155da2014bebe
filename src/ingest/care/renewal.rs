//! Other residents, and other rules for them.

use super::home::Home;
use super::{Care, CareRules, Draft, Told};
use crate::care::{At, Resident};
use crate::clock::Moment;
use crate::ingest::consent::Consents;
use crate::store::Room;
use crate::units::DevEui;
use std::collections::HashMap;
use std::sync::Arc;

impl Care {
    /// From now on these are the residents, and these the rules. Who is among them still goes on
    /// with what is known, and the alarms stay; what was due by the rules of before is decided by
    /// them. Of those who are new holds what is kept of their consent ([`Room::Consent`]).
    pub(in crate::ingest) fn renew(
        &mut self,
        rules: CareRules,
        residents: impl IntoIterator<Item = (Resident, Vec<DevEui>)>,
        consents: impl IntoIterator<Item = (String, String)>,
        now: Moment,
    ) -> Told {
        let mut told = self.look(now);
        let mut consents = Consents::of(consents);
        let before = std::mem::take(&mut self.homes).into_iter();
        let mut before: HashMap<_, _> = before.map(|home| (home.agreed.id.clone(), home)).collect();
        self.rules = rules;
        self.sensors.clear();
        // how their consent stood before
        let mut others: Vec<(usize, Option<(bool, bool)>)> = Vec::new();
        for (n, (resident, devices)) in residents.into_iter().enumerate() {
            let devices = devices.into_iter().enumerate();
            self.sensors.extend(devices.map(|(sensor, device)| (device, (n, sensor))));
            let home = match before.remove(&resident.id) {
                Some(home) if *home.agreed == resident => home,
                Some(home) => {
                    others.push((n, Some(home.standing())));
                    let kept = home.kept();
                    Home::new(Arc::new(resident), home.consent, Some(kept), now)
                }
                None => {
                    others.push((n, None));
                    let consent = consents.take(&resident);
                    Home::new(Arc::new(resident), consent, None, now)
                }
            };
            self.homes.push(home);
        }
        let (mut draft, at) = (Draft::default(), At::from(now.wall));
        for (gone, home) in before {
            self.leave(&gone, now, &mut draft);
            self.erase_at = Some(now.monotonic);
            // what was withdrawn stays so, should they come back
            if home.consent.is_given() {
                self.forgotten.push((Room::Consent, gone.clone()));
            }
            self.forgotten.push((Room::Care, gone));
        }
        if !self.homes.is_empty() {
            let latest = now.monotonic + self.rules.erase_after;
            self.erase_at = Some(self.erase_at.map_or(latest, |at| at.min(latest)));
        }
        for (n, before) in others {
            draft.homes.insert(n);
            let cause = self.homes[n].deafness();
            if cause.is_some() {
                let decisions = self.homes[n].watch.deafen(at, cause);
                self.take(n, decisions, now, &mut draft);
            }
            if before.is_some_and(|before| before != self.homes[n].standing()) {
                self.consented(n, now, &mut draft);
            } else {
                let decisions = self.homes[n].watch.trust_clock(at, self.trusted);
                self.take(n, decisions, now, &mut draft);
            }
            let decisions = self.homes[n].watch.look(at);
            self.take(n, decisions, now, &mut draft);
        }
        let Told { states, messages } = self.settle(draft);
        told.states.extend(states);
        told.messages.extend(messages);
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use std::time::Duration;

    #[test]
    fn a_shorter_time_until_erasure_holds_at_once() {
        let home = || {
            let resident = Resident {
                id: "r1".into(),
                consent: true,
                cohabitant: false,
                zone: jiff::tz::TimeZone::UTC,
                sensors: Vec::new(),
                rules: Vec::new(),
                checks: Vec::new(),
            };
            [(resident, Vec::new())]
        };
        let after = |minutes: u64| CareRules {
            erase_after: Duration::from_secs(60 * minutes),
            ..CareRules::default()
        };
        let now = Clock::system().now();
        let mut care = Care::new(after(60), home(), [], [], now);
        care.erased(true, now);
        for (minutes, patience) in [(10, 10), (30, 10), (5, 5)] {
            care.renew(after(minutes), home(), [], now);
            assert_eq!(care.patience(now), Some(Duration::from_secs(60 * patience)));
        }
    }
}
