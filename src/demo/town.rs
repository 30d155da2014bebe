//! A dozen bins on a street and a home at night, and the concentrator that hears them.

use super::sensor::{Model, Say, Sensor};
use crate::clock::Clock;
use crate::radio::gwmp::{self, Packet};
use crate::units::{Db, Dbm, DevEui, GatewayEui, Hertz, LoRa};
use anyhow::Context;
use fastrand::Rng;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep_until, timeout};

const CONCENTRATOR: GatewayEui = GatewayEui(0xaa55_5a00_0000_0001);
const WASTE: &str = "waste";
const HOME: &str = "home";

/// An uplink, by its device and full frame counter.
pub(super) type Sent = HashSet<(DevEui, u32)>;

/// Where the bins stand, and which sensor is in each.
const STREET: [(&str, Model); 12] = [
    ("Storgatan 4", Model::Sensoneo),
    ("Storgatan 18", Model::Sensoneo),
    ("Kyrkogatan 1", Model::Em400),
    ("Kyrkogatan 9", Model::Sensoneo),
    ("Järnvägsgatan 2", Model::Ldds75),
    ("Järnvägsgatan 30", Model::Em400),
    ("Hamnen", Model::Ldds75),
    ("Torget norra", Model::Elt),
    ("Torget södra", Model::Elt),
    ("Skolan", Model::Sensoneo),
    ("Badplatsen", Model::Em400),
    ("Stationen", Model::Sensoneo),
];

/// The bin whose sensor has lost its echo: it must not look empty.
const WITHOUT_ECHO: usize = 9;

const MINUTE: Duration = Duration::from_secs(60);

/// All sensors, and what they have sent.
#[derive(Debug)]
pub(super) struct Town {
    bins: Vec<Sensor>,
    bed: Sensor,
    hall: Sensor,
    bathroom: Sensor,
    seed: u64,
    /// What the concentrator's datagrams carried, as far as they were acknowledged.
    sent: Mutex<Sent>,
}

/// Something that will happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Plot {
    /// A bin's sensor measures.
    Measure(usize),
    /// The resident gets up for a while.
    GetUp,
    /// Somebody passes the hall, or the sensor's hold time is over.
    Hall(bool),
    /// The bathroom door opens or closes.
    Door(bool),
    /// The resident leaves the bed or lies down.
    Bed(bool),
}

/// What is in a bin.
#[derive(Debug, Clone, Copy)]
struct Contents {
    distance_cm: f64,
    cm_per_hour: f64,
}

impl Town {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let mut number = 0;
        let mut sensor = |model, name: &str| {
            number += 1;
            Sensor::new(model, name, number, &mut random)
        };
        Self {
            bins: STREET.iter().map(|(name, model)| sensor(*model, name)).collect(),
            bed: sensor(Model::Bed, "bed"),
            hall: sensor(Model::Ws202, "hall"),
            bathroom: sensor(Model::Ws301, "bathroom door"),
            seed,
            sent: Mutex::default(),
        }
    }

    /// What people call each device.
    pub(super) fn names(&self) -> HashMap<String, String> {
        let home = [&self.bed, &self.hall, &self.bathroom];
        let all = self.bins.iter().chain(home);
        all.map(|sensor| (sensor.dev_eui.to_string(), sensor.name.clone())).collect()
    }

    /// What the concentrator has sent and the gateway acknowledged so far.
    pub(super) fn sent(&self) -> Sent {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The gateway's configuration.
    pub(super) fn configuration(&self, state_dir: &Path, broker: SocketAddr) -> String {
        let mut text = format!(
            "gateway = \"demo\"\nstate_dir = \"{}\"\n\n[concentrator]\nlisten = \"127.0.0.1:0\"\n\n",
            state_dir.display()
        );
        for (tenant, kind) in [(WASTE, "waste"), (HOME, "generic")] {
            text.push_str(&format!(
                "[[tenant]]\nid = \"{tenant}\"\nkind = \"{kind}\"\n[tenant.upstream]\n\
                 urls = [\"mqtt://{broker}\"]\nreconnect_min = \"200ms\"\n\
                 reconnect_max = \"1s\"\nbacklog_rate = 0\n\n"
            ));
        }
        for (i, bin) in self.bins.iter().enumerate() {
            text.push_str(&bin.table(WASTE, &format!("bin = \"{}\"", i + 1)));
        }
        for sensor in [&self.bed, &self.hall, &self.bathroom] {
            text.push_str(&sensor.table(HOME, ""));
        }
        text
    }

    /// Lives on, in the clock's time, and sends what is measured to the gateway.
    pub(super) async fn live(&self, gateway: SocketAddr, clock: Clock) -> anyhow::Result<Sent> {
        let mut concentrator = Concentrator::new(gateway).await?;
        let mut random = Rng::with_seed(self.seed);
        let (mut bins, mut bed, mut hall, mut bathroom) =
            (self.bins.clone(), self.bed.clone(), self.hall.clone(), self.bathroom.clone());
        let mut contents: Vec<_> = bins
            .iter()
            .map(|_| Contents {
                distance_cm: 40.0 + random.f64() * 110.0,
                cm_per_hour: 1.0 + random.f64() * 9.0,
            })
            .collect();
        let mut plots: BinaryHeap<_> = (0..bins.len())
            .map(|i| Reverse((MINUTE * random.u32(0..10), Plot::Measure(i))))
            .collect();
        plots.extend([
            Reverse((MINUTE, Plot::Bed(true))),
            Reverse((MINUTE * random.u32(8..15), Plot::GetUp)),
        ]);
        let (begin, from) = (Instant::now(), clock.now().monotonic);
        let speed = clock.speed();
        while let Some(Reverse((at, plot))) = plots.pop() {
            sleep_until(begin + at.saturating_sub(from) / speed).await;
            let second = Duration::from_secs(1);
            let (sensor, say) = match plot {
                Plot::Measure(i) => {
                    let every = MINUTE * random.u32(12..18);
                    plots.push(Reverse((at + every, Plot::Measure(i))));
                    (&mut bins[i], measure(&mut contents[i], i, every, &mut random))
                }
                Plot::GetUp => {
                    let back = at + MINUTE * random.u32(3..8);
                    plots.extend([
                        Reverse((at + second * 4, Plot::Hall(true))),
                        Reverse((at + second * 11, Plot::Door(true))),
                        Reverse((at + second * 19, Plot::Door(false))),
                        Reverse((back, Plot::Door(true))),
                        Reverse((back + second * 5, Plot::Hall(true))),
                        Reverse((back + second * 20, Plot::Bed(true))),
                        Reverse((back + second * 65, Plot::Hall(false))),
                        Reverse((back + MINUTE * random.u32(15..40), Plot::GetUp)),
                    ]);
                    (&mut bed, Say::State(false))
                }
                Plot::Bed(on) => (&mut bed, Say::State(on)),
                Plot::Hall(on) => (&mut hall, Say::State(on)),
                Plot::Door(open) => (&mut bathroom, Say::State(open)),
            };
            let (f_cnt, phy) = sensor.uplink(say);
            if concentrator.forward(phy, at, &mut random).await? {
                let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
                sent.insert((sensor.dev_eui, f_cnt));
            }
        }
        Ok(self.sent())
    }
}

/// Waste comes in steadily, with a little noise in the echo; a full bin is emptied.
fn measure(contents: &mut Contents, bin: usize, since: Duration, random: &mut Rng) -> Say {
    contents.distance_cm -= contents.cm_per_hour * since.as_secs_f64() / 3600.0;
    if contents.distance_cm < 25.0 {
        contents.distance_cm = 145.0;
    }
    let echo = contents.distance_cm + random.f64() * 2.0;
    let celsius = random.i8(-4..=1);
    Say::Level((bin != WITHOUT_ECHO).then_some(echo as u16), celsius)
}

/// A packet forwarder, as far as the gateway can tell.
struct Concentrator {
    socket: UdpSocket,
    token: u16,
    /// The last time that the forwarder asked for downlinks, which keeps the way back open.
    pulled: Option<Instant>,
}

const PULL_INTERVAL: Duration = Duration::from_secs(10);

impl Concentrator {
    async fn new(gateway: SocketAddr) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0").await?;
        socket.connect(gateway).await.context("the gateway's UDP port")?;
        Ok(Self { socket, token: 0, pulled: None })
    }

    /// Sends a received frame on; whether the gateway acknowledged it.
    async fn forward(
        &mut self,
        phy: Vec<u8>,
        at: Duration,
        random: &mut Rng,
    ) -> anyhow::Result<bool> {
        if self.pulled.is_none_or(|at| at.elapsed() >= PULL_INTERVAL) {
            self.pulled = Some(Instant::now());
            self.token = self.token.wrapping_add(1);
            self.exchange(&gwmp::pull_data(CONCENTRATOR, self.token)).await?;
        }
        self.token = self.token.wrapping_add(1);
        let packet = Packet {
            phy,
            tmst: at.as_micros() as u32,
            time: None,
            frequency: Hertz([868_100_000, 868_300_000, 868_500_000][random.usize(0..3)]),
            modulation: LoRa { spreading_factor: random.u8(7..=12), bandwidth: Hertz(125_000) },
            code_rate: "4/5".into(),
            rssi: Dbm(random.i8(-118..-70).into()),
            snr: Db(f32::from(random.i8(-40..40)) / 4.0),
            channel: random.u32(0..3),
            rf_chain: 0,
        };
        self.exchange(&gwmp::push_data(CONCENTRATOR, self.token, &[packet])).await
    }

    async fn exchange(&self, datagram: &[u8]) -> anyhow::Result<bool> {
        self.socket.send(datagram).await?;
        let mut answer = [0; 16];
        let answered = async {
            loop {
                let len = self.socket.recv(&mut answer).await?;
                // an answer to an earlier datagram may still come in
                if len >= 4 && answer[1..3] == datagram[1..3] {
                    return anyhow::Ok(());
                }
            }
        };
        Ok(timeout(Duration::from_secs(2), answered).await.is_ok_and(|a| a.is_ok()))
    }
}
