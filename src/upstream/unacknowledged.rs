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

    /// Takes out those that are to be acknowledged now, as long as `acknowledge` can do so; whether
    /// it could.
    pub(super) fn acknowledge(&mut self, mut acknowledge: impl FnMut(u16) -> bool) -> bool {
        while let Some((packet, true)) = self.line.front() {
            if !acknowledge(*packet) {
                return false;
            }
            self.line.pop_front();
            self.first += 1;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is acknowledged if so many can be.
    fn taken(open: &mut Unacknowledged, room: usize) -> (Vec<u16>, bool) {
        let mut all = Vec::new();
        let done = open.acknowledge(|packet| {
            let free = all.len() < room;
            all.extend(free.then_some(packet));
            free
        });
        (all, done)
    }

    #[test]
    fn commands_are_acknowledged_in_the_order_in_which_they_came() {
        let mut open = Unacknowledged::default();
        let [first, second, third] = [7, 7000, 3].map(|packet| open.enter(packet));
        open.settle(second);
        open.settle(third);
        assert_eq!(taken(&mut open, 9), ([].into(), true), "the first is not in good hands");
        open.settle(first);
        assert_eq!(taken(&mut open, 2), ([7, 7000].into(), false), "no more could be sent");
        assert_eq!(taken(&mut open, 9), ([3].into(), true));
        open.settle(first);
        open.settle(99);
        let fourth = open.enter(7);
        assert_eq!(taken(&mut open, 9), ([].into(), true));
        open.settle(fourth);
        assert_eq!(taken(&mut open, 9), ([7].into(), true));
        assert_eq!(open.len(), 0);
    }
}
