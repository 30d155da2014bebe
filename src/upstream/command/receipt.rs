//! What tells whoever brought a command that it is in good hands.

use tokio::sync::mpsc;

/// Goes with a command until what came of it is on the disk, and is signed then. Dropped
/// unsigned, the command was not taken.
#[derive(Debug, Default)]
pub struct Receipt(Option<(u64, mpsc::Sender<Settled>)>);

/// What became of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// Which one, as whoever brought it counts them.
    pub number: u64,
    /// Whether it is in good hands; else it must be brought again.
    pub taken: bool,
}

impl Receipt {
    /// For the command of this number. There must always be room in the channel.
    pub fn new(number: u64, tell: mpsc::Sender<Settled>) -> Self {
        Self(Some((number, tell)))
    }

    /// What came of the command is on the disk.
    pub fn sign(mut self) {
        self.tell(true);
    }

    fn tell(&mut self, taken: bool) {
        if let Some((number, tell)) = self.0.take() {
            // the connection that brought it may be gone
            let _ = tell.try_send(Settled { number, taken });
        }
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        self.tell(false);
    }
}
