//! Which message it is that a broker breaks the connection over.
//!
//! MQTT 3.1.1 knows no other way to refuse one, and some brokers use it with MQTT 5 as well. When
//! connections break one after the other and nothing is gained, one message is sent at a time.
//! The one that was alone when the connection broke is a suspect and is passed over. When the
//! broker takes another meanwhile, the suspect is tried: sent alone once more. If the connection
//! breaks again, it is guilty. If the broker takes nothing else, it is not about messages, and
//! nobody is a suspect any more.
//!
//! This room is pure. What a parcel is, is no matter here.

/// After so many connections in a row that broke for nothing, one message is sent at a time.
const IN_VAIN: u32 = 2;

/// So many messages are then sent one at a time: as many as may have been on their way.
const NARROW: usize = super::link::WINDOW;

/// With more suspects than this, and no other message taken, it is the broker itself.
const SUSPECTS: usize = 3;

#[derive(Debug)]
pub(super) struct Suspicion<P> {
    /// Connections in a row that broke for nothing.
    in_vain: u32,
    /// What came first of all that was unanswered when the last one broke.
    stuck: Option<P>,
    /// So many messages are still to be sent one at a time.
    narrow: usize,
    /// Broke a connection alone, and are passed over.
    suspects: Vec<P>,
    /// To be tried: others are taken.
    accused: Vec<P>,
    /// Were found guilty and cannot be set aside.
    banned: Vec<P>,
}

impl<P: Copy + Ord> Suspicion<P> {
    pub(super) fn new() -> Self {
        Self {
            in_vain: 0,
            stuck: None,
            narrow: 0,
            suspects: Vec::new(),
            accused: Vec::new(),
            banned: Vec::new(),
        }
    }

    /// How many messages may be on their way, when `wide` may be at other times.
    pub(super) fn window(&self, wide: usize) -> usize {
        if self.narrow > 0 { 1 } else { wide }
    }

    /// Whether this one is not to be sent now.
    pub(super) fn passes_over(&self, parcel: P) -> bool {
        self.suspects.contains(&parcel) || self.banned.contains(&parcel)
    }

    /// The broker has taken this one. Whether suspects are to be tried now, among all others.
    pub(super) fn taken(&mut self, parcel: P) -> bool {
        self.accused.retain(|accused| *accused != parcel);
        if self.suspects.is_empty() {
            self.narrow = self.narrow.saturating_sub(1);
            return false;
        }
        self.narrow = NARROW;
        self.accused.append(&mut self.suspects);
        true
    }

    /// The broker has broken the connection, with these unanswered; `gained` is whether it has
    /// taken anything by it. The one that is guilty, when that is known now.
    pub(super) fn broke(&mut self, unanswered: &[P], gained: bool) -> Option<P> {
        let first = *unanswered.iter().min()?;
        self.in_vain =
            if !gained || self.stuck == Some(first) { self.in_vain.saturating_add(1) } else { 1 };
        self.stuck = Some(first);
        if self.narrow > 0 && unanswered.len() == 1 {
            if self.accused.contains(&first) {
                self.clear();
                return Some(first);
            }
            self.suspects.push(first);
            if self.suspects.len() > SUSPECTS {
                self.clear();
            }
        } else if self.in_vain >= IN_VAIN {
            self.narrow = NARROW;
        }
        None
    }

    /// Nothing else is there to be taken. Whether there are suspects, who are none any more.
    pub(super) fn pardon(&mut self) -> bool {
        let suspected = !self.suspects.is_empty();
        self.suspects.clear();
        suspected
    }

    /// This one is guilty and cannot be set aside: it is not sent until it is forgiven.
    pub(super) fn ban(&mut self, parcel: P) {
        self.banned.push(parcel);
    }

    /// Those that are like this are sent again.
    pub(super) fn forgive(&mut self, is_like: impl Fn(&P) -> bool) {
        self.banned.retain(|parcel| !is_like(parcel));
    }

    fn clear(&mut self) {
        let banned = std::mem::take(&mut self.banned);
        *self = Self { banned, ..Self::new() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const WIDE: usize = 98;
    const HEALTH: u32 = u32::MAX;

    /// A broker that closes the connection over some messages, or now and then, or over all; it
    /// takes what came before, unless it reads a whole batch first.
    struct Broker<'a> {
        abhors: &'a BTreeSet<u32>,
        hasty: bool,
        /// This connection breaks for no reason after so many messages.
        breaks_after: usize,
    }

    /// One connection: what was taken, and what was unanswered when it broke.
    fn connect(
        broker: &Broker<'_>,
        suspicion: &mut Suspicion<u32>,
        outbox: &mut BTreeSet<u32>,
    ) -> Option<(bool, Vec<u32>)> {
        let mut left = broker.breaks_after;
        let mut gained = false;
        let mut behind = 0;
        loop {
            let waiting = outbox.range(behind..).copied();
            let window = suspicion.window(WIDE);
            let batch: Vec<u32> =
                waiting.filter(|m| !suspicion.passes_over(*m)).take(window).collect();
            if batch.is_empty() {
                // what the gateway says of itself every minute is taken as well
                if suspicion.taken(HEALTH) {
                    behind = 0;
                    continue;
                }
                return None;
            }
            let fatal = batch.iter().position(|m| broker.abhors.contains(m));
            let end = fatal.unwrap_or(batch.len()).min(left);
            let breaks = fatal.is_some() || left < batch.len();
            left = left.saturating_sub(batch.len());
            let taken = if breaks && broker.hasty { 0 } else { end };
            behind = batch[batch.len() - 1] + 1;
            for message in &batch[..taken] {
                gained = true;
                outbox.remove(message);
                if suspicion.taken(*message) {
                    behind = 0;
                }
            }
            if breaks {
                return Some((gained, batch[taken..].to_vec()));
            }
        }
    }

    /// Connects until nothing is left, and returns who was found guilty, after how many
    /// connections.
    fn deliver(
        messages: u32,
        abhors: &BTreeSet<u32>,
        hasty: bool,
        breaks: &[usize],
    ) -> (BTreeSet<u32>, usize) {
        let mut suspicion = Suspicion::new();
        let mut outbox: BTreeSet<u32> = (0..messages).collect();
        let mut guilty = BTreeSet::new();
        for connection in 0..10_000 {
            let breaks_after = breaks.get(connection).copied().unwrap_or(usize::MAX);
            let broker = Broker { abhors, hasty, breaks_after };
            match connect(&broker, &mut suspicion, &mut outbox) {
                None => {
                    assert!(outbox.is_empty(), "{outbox:?} are held back");
                    return (guilty, connection);
                }
                Some((gained, unanswered)) => {
                    if let Some(found) = suspicion.broke(&unanswered, gained) {
                        assert!(outbox.remove(&found));
                        guilty.insert(found);
                    }
                }
            }
        }
        panic!("never done: {} left", outbox.len());
    }

    #[test]
    fn one_message_that_the_broker_closes_over_is_found_by_four_connections() {
        for hasty in [false, true] {
            for poison in [0, 1, 50, 97, 98, 500, 999] {
                let abhors = BTreeSet::from([poison]);
                let (guilty, connections) = deliver(1000, &abhors, hasty, &[]);
                assert_eq!(guilty, abhors);
                assert!(connections <= 5, "{connections} connections for {poison}");
            }
        }
    }

    #[test]
    fn a_broker_that_takes_nothing_at_all_makes_nobody_guilty() {
        let mut suspicion = Suspicion::new();
        let messages: Vec<u32> = (0..200).collect();
        for _ in 0..1000 {
            let window = suspicion.window(WIDE);
            let batch: Vec<u32> = messages
                .iter()
                .copied()
                .filter(|m| !suspicion.passes_over(*m))
                .take(window)
                .collect();
            assert_eq!(suspicion.broke(&batch, false), None);
            assert!(suspicion.suspects.len() <= SUSPECTS);
        }
    }

    #[test]
    fn lines_that_break_while_messages_pass_change_nothing() {
        let mut suspicion = Suspicion::new();
        for n in 0..100 {
            suspicion.taken(10 * n);
            assert_eq!(suspicion.broke(&[10 * n + 1, 10 * n + 2], true), None);
            assert_eq!(suspicion.window(WIDE), WIDE);
        }
        assert_eq!(suspicion.broke(&[], false), None);
    }

    #[test]
    fn a_suspect_that_is_alone_is_sent_again_and_does_not_become_guilty() {
        let mut suspicion = Suspicion::new();
        for _ in 0..100 {
            while suspicion.window(WIDE) > 1 {
                assert_eq!(suspicion.broke(&[7], false), None);
            }
            assert!(!suspicion.pardon());
            assert_eq!(suspicion.broke(&[7], false), None);
            assert!(suspicion.passes_over(7));
            assert!(suspicion.pardon());
            assert!(!suspicion.passes_over(7));
        }
    }

    #[test]
    fn who_is_banned_is_not_sent_again() {
        let mut suspicion = Suspicion::new();
        suspicion.ban(7);
        suspicion.clear();
        assert!(suspicion.passes_over(7) && !suspicion.passes_over(8));
    }

    proptest! {
        /// Every message but those is delivered, and only those are found, over a line that
        /// breaks by itself as well. An innocent one is found only by three breaks in the very
        /// moment when it is alone.
        #[test]
        fn all_others_are_delivered(
            abhors in prop::collection::btree_set(0u32..600, 0..12),
            hasty: bool,
            breaks in prop::collection::vec(5usize..400, 0..30),
        ) {
            let (guilty, _) = deliver(600, &abhors, hasty, &breaks);
            prop_assert_eq!(guilty, abhors);
        }
    }
}
