//! A resident's home, and what is kept of it.

use crate::care::ledger::Ledger;
use crate::care::{At, Deafness, Memory, Resident, Watch};
use crate::clock::Moment;
use crate::ingest::consent::Consent;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A resident's home.
#[derive(Debug)]
pub(super) struct Home {
    /// All that was agreed, as the settings have it.
    pub(super) agreed: Arc<Resident>,
    pub(super) watch: Watch,
    /// Which rule cried for nothing.
    pub(super) ledger: Ledger,
    /// Who consents, as far as the settings ask them.
    pub(super) consent: Consent,
    /// Whether it goes on with what was remembered.
    pub(super) restored: bool,
}

/// What is remembered of a home.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Kept {
    /// Nothing of who does not consent.
    pub(super) memory: Option<Memory>,
    pub(super) ledger: Ledger,
}

impl Home {
    pub(super) fn new(
        agreed: Arc<Resident>,
        consent: Consent,
        kept: Option<Kept>,
        now: Moment,
    ) -> Self {
        let at = At::from(now.wall);
        // whose consent is not known is not heard, and missed at each check
        let is_watched = agreed.consent && (consent.is_given() || consent.is_lost());
        let resident = Arc::new(Resident { consent: is_watched, ..(*agreed).clone() });
        let Kept { memory, ledger } = kept.unwrap_or_default();
        let restored = memory.map(|memory| Watch::restore(Arc::clone(&resident), memory, at));
        // what was heard before its consent was lost is not gone on with
        let restored = restored
            .filter(|watch| !consent.is_lost() || watch.deafness() == Some(Deafness::Consent));
        let ledger = if restored.is_some() { ledger } else { Ledger::default() };
        let is_restored = restored.is_some();
        let watch = restored.unwrap_or_else(|| Watch::new(resident, at));
        Self { agreed, watch, ledger, consent, restored: is_restored }
    }

    /// Whether what its sensors say may be read.
    pub(super) fn may_be_heard(&self) -> bool {
        self.agreed.consent && self.consent.is_given()
    }

    pub(super) fn standing(&self) -> (bool, bool) {
        (self.may_be_heard(), self.consent.is_lost())
    }

    /// Why nothing is heard of it, whatever the radios do.
    pub(super) fn deafness(&self) -> Option<Deafness> {
        self.consent.is_lost().then_some(Deafness::Consent)
    }

    pub(super) fn kept(&self) -> Kept {
        if !self.watch.resident().consent {
            return Kept::default();
        }
        Kept { memory: Some(self.watch.memory()), ledger: self.ledger.clone() }
    }
}
