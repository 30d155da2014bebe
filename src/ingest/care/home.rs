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
        // what was heard before consent was lost is not gone on with, nor the time when nothing was
        let lasts =
            |memory: &Memory| consent.is_lost() == (memory.deafness() == Some(Deafness::Consent));
        let restored = memory.as_ref().is_some_and(lasts);
        let watch = match memory {
            Some(memory) if restored => Watch::restore(resident, memory, at),
            Some(memory) => Watch::restore_checks(resident, memory, at),
            None => Watch::new(resident, at),
        };
        let ledger = if restored { ledger } else { Ledger::default() };
        Self { agreed, watch, ledger, consent, restored }
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
