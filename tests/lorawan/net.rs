//! The network that hears a hand-made device.

pub(crate) use crate::support::{Mote, Say, Told};
use jiff::{SignedDuration, Timestamp};
use lykta::device::Registry;
use lykta::lorawan::{
    Accepted, Answer, Channels, Downlink, EdgeServer, Event, Memory, Plan, Received, Refusal,
    Uplink,
};
use lykta::units::{Db, Hertz, LoRa};

pub(crate) const CHANNEL: Hertz = Hertz(868_100_000);
pub(crate) const SF9: LoRa = LoRa { spreading_factor: 9, bandwidth: Hertz(125_000) };

/// One server, and what a store would hold for it.
pub(crate) struct Net {
    pub(crate) server: EdgeServer,
    pub(crate) now: Timestamp,
    pub(crate) heard_at: LoRa,
    /// What a store would hold.
    pub(crate) disk: Memory,
}

pub(crate) fn single() -> Plan {
    Plan { channels: Channels::Only(vec![(CHANNEL, 9)]), rx1_delay: 1, rx2_data_rate: 0 }
}

pub(crate) fn concentrator() -> Plan {
    let more = [867_100_000, 867_300_000, 867_500_000, 867_700_000, 867_900_000].map(Hertz);
    Plan { channels: Channels::All(Some(more)), rx1_delay: 1, rx2_data_rate: 0 }
}

impl Net {
    pub(crate) fn new(plan: Plan, motes: &[&Mote]) -> Self {
        Self::remembering(plan, motes, Memory::default())
    }

    pub(crate) fn remembering(plan: Plan, motes: &[&Mote], disk: Memory) -> Self {
        let registry = Registry::new(motes.iter().map(|mote| mote.device()));
        Self {
            server: EdgeServer::new(&registry, plan, disk.clone()),
            now: "2026-03-01T12:00:00Z".parse().unwrap(),
            heard_at: SF9,
            disk,
        }
    }

    /// Ends the process and starts another.
    pub(crate) fn restart(&mut self, plan: Plan, motes: &[&Mote]) {
        let (now, disk) = (self.now, std::mem::take(&mut self.disk));
        *self = Self { now, ..Self::remembering(plan, motes, disk) };
    }

    /// Hears a frame, and writes down what must be.
    pub(crate) fn hear(&mut self, phy: &[u8]) -> Result<Accepted, Refusal> {
        let accepted = self.hear_only(phy)?;
        self.keep(&accepted);
        Ok(accepted)
    }

    /// Hears a frame that no disk has taken yet.
    pub(crate) fn hear_only(&mut self, phy: &[u8]) -> Result<Accepted, Refusal> {
        self.now += SignedDuration::from_mins(10);
        self.server.uplink(&Received {
            phy,
            at: self.now,
            age: std::time::Duration::ZERO,
            synced: true,
            frequency: CHANNEL,
            modulation: self.heard_at,
            snr: Db(2.5),
            receivers: 2,
        })
    }

    pub(crate) fn keep(&mut self, accepted: &Accepted) {
        let dev_eui = accepted.device.dev_eui;
        for (slot, session) in &accepted.changes.sessions {
            match session {
                Some(session) => {
                    self.disk.sessions.insert((dev_eui, *slot), session.clone());
                }
                None => {
                    self.disk.sessions.remove(&(dev_eui, *slot));
                }
            }
        }
        if let Some(join) = accepted.changes.join {
            let joins = self.disk.joins.entry(dev_eui).or_default();
            joins.binding = join.binding;
            joins.join_nonce = join.join_nonce;
            joins.dev_nonces.insert(join.dev_nonce);
        }
        self.disk.downlinks.retain(|(_, item)| !accepted.changes.ended.contains(&item.id));
    }

    /// An uplink that is accepted, what it was, and what the device hears in answer.
    pub(crate) fn exchange(&mut self, mote: &mut Mote, say: &Say<'_>) -> (Uplink, Option<Told>) {
        let phy = mote.say(say);
        let accepted = self.hear(&phy).expect("accepted");
        let told = accepted.answer.as_ref().map(|answer| mote.hear(&answer.phy));
        let Event::Uplink(uplink) = accepted.event else { panic!("{:?}", accepted.event) };
        (uplink, told)
    }

    /// Joins, hears the answer, and returns it in the clear.
    pub(crate) fn join(&mut self, mote: &mut Mote) -> (Answer, Vec<u8>) {
        let request = mote.join_request();
        let accepted = self.hear(&request).expect("accepted");
        assert!(matches!(accepted.event, Event::Join(_)));
        let answer = accepted.answer.expect("an answer");
        let clear = mote.join(&answer.phy);
        (answer, clear)
    }
}

/// A downlink on port 3 that waits for ten hours.
pub(crate) fn item(net: &Net, id: &str, payload: &[u8]) -> Downlink {
    Downlink {
        id: id.into(),
        f_port: 3,
        payload: payload.to_vec(),
        confirmed: false,
        expires: net.now + SignedDuration::from_hours(10),
    }
}
