//! What a connection has brought and was not acknowledged, in the order in which it came: that is
//! the order in which MQTT wants the acknowledgements.

use std::collections::VecDeque;

/// The commands of one connection.
#[derive(Debug, Default)]
pub(super) struct Unacknowledged {
    /// The number of the first in the line.
    first: u64,
    /// The packet identifiers, and whether they are to be acknowledged.
    line: VecDeque<(u16, bool)>,
}

impl Unacknowledged {
    pub(super) fn len(&self) -> usize {
        self.line.len()
    }

    /// Its number.
    pub(super) fn enter(&mut self, packet: u16) -> u64 {
        self.line.push_back((packet, false));
        self.first + self.line.len() as u64 - 1
    }

    pub(super) fn settle(&mut self, number: u64) {
        let place = number.checked_sub(self.first).and_then(|n| usize::try_from(n).ok());
        if let Some((_, settled)) = place.and_then(|place| self.line.get_mut(place)) {
            *settled = true;
        }
    }

    /// The next one to be acknowledged.
    pub(super) fn take(&mut self) -> Option<u16> {
        let (packet, _) = self.line.pop_front_if(|(_, settled)| *settled)?;
        self.first += 1;
        Some(packet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_acknowledged_in_the_order_in_which_they_came() {
        let mut open = Unacknowledged::default();
        let [first, second, third] = [7, 7000, 3].map(|packet| open.enter(packet));
        open.settle(second);
        open.settle(third);
        assert_eq!(open.take(), None, "the first is not in good hands");
        open.settle(first);
        assert_eq!([open.take(), open.take(), open.take()], [Some(7), Some(7000), Some(3)]);
        open.settle(first);
        open.settle(99);
        let fourth = open.enter(7);
        assert_eq!(open.take(), None);
        open.settle(fourth);
        assert_eq!((open.take(), open.take()), (Some(7), None));
    }
}
