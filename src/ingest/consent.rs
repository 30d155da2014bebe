//! Who of a home consents. The settings say who may be listened to at all; by commands that is
//! withdrawn and given again.
//!
//! What was withdrawn must not come back because a file is damaged. So a word about each home is in
//! both files of the store, and of two words the later one holds. Where neither is left of a home,
//! nobody knows whether its consent was withdrawn: nothing is read until it is given anew.

use crate::care::Resident;
use crate::store::{RESCUED, Room, State};
use crate::upstream::command::Person;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};

/// The consent of a home.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Consent {
    /// How often it has changed.
    changes: u64,
    /// Who has withdrawn it, and not given it again.
    withdrawn: BTreeSet<Person>,
    /// Whether that is not known, and thought only because what was known is lost.
    lost: bool,
}

/// What is known of the consent of homes.
#[derive(Debug, Default)]
pub(super) struct Consents {
    known: HashMap<String, Consent>,
    /// Whether words about others may have been there.
    incomplete: bool,
}

impl Consents {
    /// From all words that are left.
    pub(super) fn of(words: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut consents = Self::default();
        for (resident, body) in words {
            let word = serde_json::from_str::<Consent>(&body).ok();
            let Some(word) = word.filter(|_| resident != RESCUED) else {
                consents.incomplete = true;
                continue;
            };
            let known = consents.known.entry(resident).or_default();
            // in doubt it is withdrawn
            if (word.changes, !word.is_given()) >= (known.changes, !known.is_given()) {
                *known = word;
            }
        }
        consents
    }

    /// That of a home.
    pub(super) fn take(&mut self, home: &Resident) -> Consent {
        let lost = || Consent {
            changes: 0,
            withdrawn: [Person::Resident]
                .into_iter()
                .chain(home.cohabitant.then_some(Person::Cohabitant))
                .collect(),
            lost: true,
        };
        let known = self.known.remove(&home.id);
        known.unwrap_or_else(|| if self.incomplete { lost() } else { Consent::default() })
    }

    /// The homes that nobody has asked about, and of which nothing needs to be known: what was
    /// withdrawn stays so until it is given again, also over a time without that home.
    pub(super) fn forgotten(self) -> impl Iterator<Item = String> {
        self.known.into_iter().filter(|(_, known)| known.is_given()).map(|(home, _)| home)
    }
}

impl Consent {
    /// Whether nobody has withdrawn it.
    pub(super) fn is_given(&self) -> bool {
        self.withdrawn.is_empty()
    }

    /// Whether nobody knows any more if it was withdrawn.
    pub(super) fn is_lost(&self) -> bool {
        self.lost
    }

    /// Somebody gives or withdraws it; whether that is new.
    pub(super) fn change(&mut self, who: Person, given: bool) -> bool {
        let is_new = match given {
            true => self.withdrawn.remove(&who),
            false => self.withdrawn.insert(who) || self.lost,
        };
        if is_new {
            self.changes += 1;
            self.lost &= given && !self.withdrawn.is_empty();
        }
        is_new
    }

    /// As it is kept.
    pub(super) fn state(&self, resident: &str) -> State {
        let body = serde_json::to_string(self).expect("it is a plain struct");
        State { room: Room::Consent, key: resident.to_owned(), body }
    }
}
