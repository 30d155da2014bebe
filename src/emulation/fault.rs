//! What a chip can suffer from, and what helps.

/// What a chip can suffer from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// BUSY stays high (SX1262; the SX1276 has none).
    HangBusy,
    /// Every byte that is read over SPI is this one, and nothing that is written arrives: no HAT
    /// is plugged in (0xff, 0x00), or it has no power. BUSY and the interrupt line stay low.
    Dead(u8),
    /// The host does not notice rising edges of the interrupt line. Its level is right.
    LoseEdges,
    /// Notices no packet, and looks healthy otherwise.
    Deaf,
    /// Sends, but never says that it is done.
    StuckTx,
    /// Is another chip than it should be: its version register says so.
    Stranger,
}

/// What makes a fault go away, besides [`EmuChip::repair`](super::EmuChip::repair).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cure {
    /// Nothing.
    None,
    /// The driver sets the chip up anew: SetPacketType on SX1262, sleep on SX1276.
    Setup,
    /// So many pulses on the reset line.
    Resets(u32),
}

/// What a chip suffers from at present.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<(Fault, Cure)>);

impl Faults {
    pub(super) fn add(&mut self, fault: Fault, cure: Cure) {
        self.0.push((fault, cure));
    }

    pub(super) fn has(&self, fault: Fault) -> bool {
        self.0.iter().any(|(present, _)| *present == fault)
    }

    /// The byte that a dead chip answers with, if it is one.
    pub(super) fn dead(&self) -> Option<u8> {
        self.0.iter().find_map(|(fault, _)| match fault {
            Fault::Dead(byte) => Some(*byte),
            _ => None,
        })
    }

    /// The driver sets the chip up.
    pub(super) fn set_up(&mut self) {
        self.0.retain(|(_, cure)| *cure != Cure::Setup);
    }

    /// A pulse on the reset line.
    pub(super) fn reset(&mut self) {
        for (_, cure) in &mut self.0 {
            if let Cure::Resets(left) = cure {
                *left = left.saturating_sub(1);
            }
        }
        self.0.retain(|(_, cure)| *cure != Cure::Resets(0));
    }
}
