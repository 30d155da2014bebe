//! Who is told of an alarm, one after the other, until somebody answers.
//!
//! Pure, and all of it is state: what a step decides is stored with the calls that it makes, in one
//! transaction. So a gateway that dies before has made no call, and one that dies after has made it:
//! nobody is skipped, and nobody is told twice.

use super::time::At;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// So many alarms are escalated at once. More of one gateway are one disaster, of which everybody
/// is told already.
pub const MOST_CASES: usize = 256;

/// Who is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Who has the resident tonight.
    Primary,
    /// Who helps out.
    Secondary,
    /// Who leads the patrol, and is told until somebody answers.
    PatrolLead,
}

/// How long each is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chain {
    /// For the primary, before the secondary is told, too.
    pub primary: Duration,
    /// For the secondary, before the patrol lead is.
    pub secondary: Duration,
    /// How often the patrol lead is told again; not more often than the others are waited for.
    pub repeat: Duration,
    /// Who has answered comes within this, or the alarm goes on.
    pub arrival: Duration,
}

impl Default for Chain {
    /// Contact within one to three minutes, and arrival within an hour, is what municipalities
    /// promise.
    fn default() -> Self {
        Self {
            primary: Duration::from_secs(2 * 60),
            secondary: Duration::from_secs(2 * 60),
            repeat: Duration::from_secs(5 * 60),
            arrival: Duration::from_secs(60 * 60),
        }
    }
}

/// Somebody is to be told something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// Of which alarm.
    pub alarm: String,
    /// Who.
    pub role: Role,
    /// How often somebody was told of it before: with the alarm, the key by which a repetition of
    /// the same call is known.
    pub number: u32,
    /// What.
    pub what: What,
}

/// What somebody is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Go there.
    Alarm,
    /// It is over.
    Over,
    /// Another one goes.
    Answered,
}

/// An alarm that somebody has to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Case {
    /// Who was told first,
    first: Role,
    /// and who last.
    role: Role,
    /// When something is done next.
    next: At,
    /// How many calls there were.
    calls: u32,
    /// Whether somebody answered.
    answered: bool,
}

/// All alarms that somebody has to answer, by their names.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Escalation {
    cases: BTreeMap<String, Case>,
    /// Alarms for which there was no room.
    pub refused: u64,
}

impl Escalation {
    /// An alarm is raised. One that is known already goes on as it is. `first` is the patrol lead
    /// where nobody else is asked, as when a check is not confirmed.
    pub fn raise(&mut self, chain: &Chain, alarm: &str, first: Role, now: At) -> Vec<Call> {
        if self.cases.contains_key(alarm) {
            return Vec::new();
        }
        if self.cases.len() >= MOST_CASES {
            self.refused += 1;
            // told once at least, though nobody waits for an answer
            let (role, what) = (Role::PatrolLead, What::Alarm);
            return vec![Call { alarm: alarm.to_owned(), role, number: 0, what }];
        }
        let next = now.after(chain.wait(first));
        let case = Case { first, role: first, next, calls: 1, answered: false };
        self.cases.insert(alarm.to_owned(), case);
        vec![Call { alarm: alarm.to_owned(), role: first, number: 0, what: What::Alarm }]
    }

    /// Somebody answers and goes there. The others who were told are told so.
    pub fn acknowledge(&mut self, chain: &Chain, alarm: &str, by: Role, now: At) -> Vec<Call> {
        let Some(case) = self.cases.get_mut(alarm).filter(|case| !case.answered) else {
            return Vec::new();
        };
        case.answered = true;
        case.next = now.after(chain.arrival);
        case.others(alarm, What::Answered, Some(by))
    }

    /// The alarm is over, or somebody has been there. Who was told is told so.
    pub fn close(&mut self, alarm: &str) -> Vec<Call> {
        let Some(mut case) = self.cases.remove(alarm) else { return Vec::new() };
        case.others(alarm, What::Over, None)
    }

    /// Does what is due: one step for each alarm, however late it is. So a gateway that was off
    /// skips nobody.
    pub fn look(&mut self, chain: &Chain, now: At) -> Vec<Call> {
        let mut calls = Vec::new();
        for (alarm, case) in self.cases.iter_mut().filter(|(_, case)| case.next <= now) {
            // also when who answered has not come
            case.role = case.role.following();
            case.answered = false;
            case.next = now.after(chain.wait(case.role));
            calls.push(case.call(alarm, case.role, What::Alarm));
        }
        calls
    }

    /// Whether somebody has to answer this alarm, or to come.
    #[must_use]
    pub fn is_open(&self, alarm: &str) -> bool {
        self.cases.contains_key(alarm)
    }

    /// When something is due next.
    #[must_use]
    pub fn next_look(&self) -> Option<At> {
        self.cases.values().map(|case| case.next).min()
    }

    /// How many alarms there are.
    #[must_use]
    pub fn open(&self) -> usize {
        self.cases.len()
    }

    /// How many of them somebody has to answer still: then the local buzzer sounds.
    #[must_use]
    pub fn unanswered(&self) -> usize {
        self.cases.values().filter(|case| !case.answered).count()
    }

    /// The clock was wrong by so many seconds and has been set.
    pub fn step(&mut self, by: i64) {
        for case in self.cases.values_mut() {
            case.next.0 = case.next.0.saturating_add(by);
        }
    }
}

impl Chain {
    fn wait(&self, role: Role) -> Duration {
        match role {
            Role::Primary => self.primary,
            Role::Secondary => self.secondary,
            Role::PatrolLead => self.repeat,
        }
    }
}

impl Role {
    fn following(self) -> Self {
        match self {
            Self::Primary => Self::Secondary,
            Self::Secondary | Self::PatrolLead => Self::PatrolLead,
        }
    }
}

impl Case {
    fn call(&mut self, alarm: &str, role: Role, what: What) -> Call {
        let number = self.calls;
        self.calls += 1;
        Call { alarm: alarm.to_owned(), role, number, what }
    }

    /// Tells everybody who was told, but one.
    fn others(&mut self, alarm: &str, what: What, but: Option<Role>) -> Vec<Call> {
        let told = [Role::Primary, Role::Secondary, Role::PatrolLead].into_iter();
        let told: Vec<Role> =
            told.filter(|role| self.was_told(*role) && Some(*role) != but).collect();
        told.into_iter().map(|role| self.call(alarm, role, what)).collect()
    }

    fn was_told(&self, role: Role) -> bool {
        (self.first..=self.role).contains(&role)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn roles(calls: &[Call]) -> Vec<Role> {
        calls.iter().map(|call| call.role).collect()
    }

    #[test]
    fn each_is_told_in_turn_until_somebody_answers() {
        let chain = Chain::default();
        let mut escalation = Escalation::default();
        let mut told = escalation.raise(&chain, "a", Role::Primary, At(0));
        assert_eq!(escalation.raise(&chain, "a", Role::Primary, At(5)), []);
        while told.len() < 5 {
            let next = escalation.next_look().expect("nobody has answered");
            told.extend(escalation.look(&chain, next));
        }
        use Role::*;
        assert_eq!(roles(&told), [Primary, Secondary, PatrolLead, PatrolLead, PatrolLead]);
        let now = At(2000);
        let others = escalation.acknowledge(&chain, "a", Secondary, now);
        assert_eq!(roles(&others), [Primary, PatrolLead]);
        assert_eq!((escalation.open(), escalation.unanswered()), (1, 0));
        assert_eq!(escalation.acknowledge(&chain, "a", Primary, now), []);
        assert_eq!(escalation.look(&chain, now.after(Duration::from_secs(3599))), []);
        // who answered never came
        let again = escalation.look(&chain, now.after(chain.arrival));
        assert_eq!(roles(&again), [PatrolLead]);
        assert_eq!(roles(&escalation.close("a")), [Primary, Secondary, PatrolLead]);
        assert_eq!(escalation.next_look(), None);
    }

    #[test]
    fn what_there_is_no_room_for_is_told_once_all_the_same() {
        let chain = Chain::default();
        let mut escalation = Escalation::default();
        for alarm in 0..=MOST_CASES {
            let calls = escalation.raise(&chain, &alarm.to_string(), Role::Primary, At(0));
            assert_eq!(calls.len(), 1);
        }
        assert_eq!(escalation.refused, 1);
    }

    proptest! {
        /// Whenever it dies and however late it looks: nobody is skipped, and nobody is told twice
        /// of an alarm within the time that they are waited for.
        #[test]
        fn nobody_is_skipped_and_nobody_told_twice(
            steps in prop::collection::vec((0u8..10, 0u8..3, 0u64..400), 0..120),
            restarts in prop::collection::vec(any::<bool>(), 120),
        ) {
            let chain = Chain::default();
            let mut escalation = Escalation::default();
            let mut now = At(0);
            let mut last: BTreeMap<String, (Role, At, u32)> = BTreeMap::new();
            for ((what, which, wait), restart) in steps.into_iter().zip(restarts) {
                now = now.after(Duration::from_secs(wait));
                let alarm = which.to_string();
                let calls = match what {
                    0..3 => escalation.raise(&chain, &alarm, Role::Primary, now),
                    3 => escalation.acknowledge(&chain, &alarm, Role::Primary, now),
                    4 => {
                        last.remove(&alarm);
                        escalation.close(&alarm);
                        Vec::new()
                    }
                    _ => escalation.look(&chain, now),
                };
                for call in calls.iter().filter(|call| call.what == What::Alarm) {
                    let before = last.insert(call.alarm.clone(), (call.role, now, call.number));
                    let Some((role, then, number)) = before else {
                        prop_assert_eq!(call.role, Role::Primary);
                        continue;
                    };
                    prop_assert!(call.role == role.following(), "{:?} after {:?}", call.role, role);
                    prop_assert!(now.since(then) >= chain.wait(role));
                    prop_assert!(call.number > number);
                }
                if restart {
                    let stored = serde_json::to_string(&escalation).expect("JSON");
                    let restored: Escalation = serde_json::from_str(&stored).expect("the same");
                    prop_assert_eq!(&restored, &escalation);
                    escalation = restored;
                }
            }
        }
    }
}
