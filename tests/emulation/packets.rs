//! Packets go from chip to chip as they do between real ones.

use crate::rig::{CHANNEL, assert_clean, settle, sx1262};
use lykta::emulation::Air;

#[tokio::test(start_paused = true)]
async fn an_sx1262_hears_an_sx1262() {
    let air = Air::new();
    let mut sender = sx1262(&air).await;
    let mut receiver = sx1262(&air).await;
    for sf in 7..=12 {
        let frame = [sf; 20];
        let (heard, ()) = tokio::join!(receiver.hear(sf), async {
            settle().await;
            sender.send(sf, &frame).await;
        });
        assert_eq!(heard, Some((frame.to_vec(), -80, 9)), "SF{sf}");
    }
    assert!(air.log().iter().all(|sent| sent.signal.frequency == CHANNEL));
    assert_clean(&air);
}
