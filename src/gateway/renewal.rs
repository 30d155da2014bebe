//! Settings that are read again while the gateway runs.
//!
//! All of them hold, or none: what is fixed for as long as the gateway runs must be as before.

use super::GatewayError;
use super::house;
use super::inlet::Inlet;
use super::worker::Worker;
use crate::codec::Codec;
use crate::codec::script::Keeper;
use crate::config::{Loaded, Problems, Settings};
use crate::device::Registry;
use crate::ingest::{Decoding, Input, NotRenewed, Renewal, Stopped, TenantRenewal};
use crate::planning::Desk;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

/// Why the settings of before still hold.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// They are wrong.
    #[error("the configuration is wrong:\n{}", .0.brief())]
    Wrong(Problems),
    /// They change what is fixed while the gateway runs.
    #[error("needs a restart: {}", .0.join(", "))]
    Fixed(Vec<String>),
    /// The loop that has them could not go on with them.
    #[error(transparent)]
    NotRenewed(#[from] NotRenewed),
    /// A part that they need cannot be started.
    #[error(transparent)]
    Part(#[from] GatewayError),
    /// Whoever read or passed them has panicked.
    #[error("lykta failed over it, which is a fault in lykta: please report it, and restart lykta")]
    Panicked,
    /// The gateway stops.
    #[error("the gateway stops")]
    Stopped,
}

/// What came of it.
#[derive(Debug)]
#[must_use = "a thread that nobody watches could end unseen"]
pub struct Renewed {
    /// How many devices there are.
    pub devices: usize,
    /// A thread that was not needed before.
    pub(super) codec: Option<Worker>,
}

/// Who puts other settings in the place of those that hold.
#[derive(Debug, Clone)]
pub struct Renewer {
    pub(super) fixed: Arc<Settings>,
    pub(super) inlet: Inlet,
    pub(super) desk: Desk,
    pub(super) stopped: Stopped,
    /// Whether there is a thread that asks scripts.
    pub(super) asks_scripts: Arc<AtomicBool>,
}

impl Renewer {
    /// Goes on with these settings from the next frame on. Takes as long as the disk does.
    ///
    /// # Errors
    /// When it cannot. All is as before then.
    pub async fn renew(self, loaded: Loaded) -> Result<Renewed, Refused> {
        let Loaded { settings, registry, households, codecs, .. } = loaded;
        let others = differing(&self.fixed, &fixed(&settings));
        if !others.is_empty() {
            return Err(Refused::Fixed(others));
        }
        let needed = needs_scripts(&registry, &codecs) && !self.asks_scripts.load(Relaxed);
        let (decoding, codec) = match needed {
            true => {
                let (decoding, worker) = asks(&self.inlet, &self.stopped)?;
                (Some(decoding), Some(worker))
            }
            false => (None, None),
        };
        let tenant = |tenant| TenantRenewal {
            bins: house::bins(tenant, &settings, &registry),
            care: house::care(tenant, &settings),
            residents: house::residents(tenant, &households),
        };
        let tenants = settings.tenant.iter().map(|t| (t.id.clone(), tenant(t))).collect();
        let (done, renewed) = oneshot::channel();
        let devices = registry.len();
        let renewal = Renewal { registry: registry.clone(), codecs, decoding, tenants, done };
        let inlet = self.inlet.clone();
        // frames come first: there may be no room for a while
        let passed = spawn_blocking(move || inlet.wait_and_pass(Input::Renewal(Box::new(renewal))));
        passed.await.ok().filter(|passed| *passed).ok_or(Refused::Stopped)?;
        renewed.await.map_err(|_| Refused::Stopped)??;
        self.asks_scripts.fetch_or(codec.is_some(), Relaxed);
        self.desk.renew(&settings, &registry);
        Ok(Renewed { devices, codec })
    }
}

/// The thread that asks scripts, and the way to it.
pub(super) fn asks(inlet: &Inlet, stopped: &Stopped) -> Result<(Decoding, Worker), GatewayError> {
    let (decoding, codecs) = Decoding::new(inlet.waker(), stopped.clone());
    let worker = Worker::spawn("codec".into(), move || codecs.run(Keeper::default()))?;
    Ok((decoding, worker))
}

/// Whether any device of these needs a script.
pub(super) fn needs_scripts(registry: &Registry, codecs: &HashMap<String, Codec>) -> bool {
    let mut used = registry.iter().filter_map(|device| codecs.get(&device.profile.name));
    used.any(Codec::is_script)
}

/// What of the settings is fixed for as long as the gateway runs.
pub(super) fn fixed(settings: &Settings) -> Settings {
    let mut fixed = settings.clone();
    fixed.device.clear();
    fixed.resident.clear();
    fixed.bin.clear();
    for tenant in &mut fixed.tenant {
        tenant.escalation = None;
        tenant.erase_after = Default::default();
    }
    fixed
}

/// The keys of what is another there.
fn differing(ours: &Settings, theirs: &Settings) -> Vec<String> {
    let mut keys = Vec::new();
    for key in ours.differing(theirs) {
        let within: Vec<&str> = match key {
            "store" => ours.store.differing(&theirs.store),
            "lorawan" => ours.lorawan.differing(&theirs.lorawan),
            "output" => ours.output.differing(&theirs.output),
            "tenant" => {
                keys.extend(tenants(ours, theirs));
                continue;
            }
            _ => Vec::new(),
        };
        match within.is_empty() {
            true => keys.push(key.to_owned()),
            false => keys.extend(within.into_iter().map(|within| format!("{key}.{within}"))),
        }
    }
    keys
}

/// Which tenants are others, and in what.
fn tenants(ours: &Settings, theirs: &Settings) -> Vec<String> {
    let mut keys = Vec::new();
    for our in &ours.tenant {
        match theirs.tenant.iter().find(|their| their.id == our.id) {
            None => keys.push(format!("tenant {} (gone)", our.id)),
            Some(their) => {
                let within = our.differing(their).into_iter().flat_map(|key| match key {
                    "upstream" => {
                        let within = our.upstream.differing(&their.upstream);
                        within.into_iter().map(|within| format!("upstream.{within}")).collect()
                    }
                    key => vec![key.to_owned()],
                });
                keys.extend(within.map(|key| format!("tenant {}: {key}", our.id)));
            }
        }
    }
    let is_new = |id| ours.tenant.iter().all(|our| our.id != id);
    let new = theirs.tenant.iter().filter(|their| is_new(their.id.clone()));
    keys.extend(new.map(|their| format!("tenant {} (new)", their.id)));
    if keys.is_empty() {
        keys.push("the order of the tenants".to_owned());
    }
    keys
}
