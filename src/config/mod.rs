//! Settings: read, checked, and explained.
//!
//! ```text
//! defaults < lykta.toml < conf.d/*.toml < devices.d/*.toml < LYKTA_… in the environment
//! ```
//!
//! A later source overrides an earlier one key by key; lists (of tenants, of devices) are
//! joined. `conf.d`, `devices.d` (only `[[device]]`) and `profiles` (device profiles, added
//! to the built-in ones) lie beside the main file and are read in the order of their names.
//!
//! [`load`] tells everything that is wrong at once, each with its line and what to do.

mod bin;
mod care;
mod check;
mod devices;
mod discretion;
mod file;
mod home;
mod household;
pub mod import;
mod key;
mod layer;
mod load;
pub(crate) mod mask;
mod plan;
mod problem;
mod profile;
mod radio;
mod read;
mod schema;
pub(crate) mod secret;
mod service;
mod settings;
mod site;
mod source;
mod template;
mod timing;
pub(crate) mod tls;
mod tours;
mod value;

pub use bin::{BinId, BinSettings};
pub use care::{
    CheckSettings, DoorMode, EscalationSettings, ResidentSettings, RuleName, RuleSettings,
    SensorSettings,
};
pub use discretion::{Brief, BriefProblems};
pub use home::Home;
pub use household::Household;
pub use load::{DEFAULT_FILE, DEFAULT_STATE_DIR, Loaded, load, load_with, texts};
pub use plan::{
    BreakSettings, DepotSettings, PlanKind, PlanSettings, SiteSettings, VehicleSettings,
    VisitSettings,
};
pub use problem::{Excerpt, Problem, Problems};
pub use profile::Profiles;
pub(crate) use service::stored;
pub use settings::{
    AbpSettings, Activation, BrokerUrl, Buffer, Chip, Concentrator, DeviceSettings,
    LorawanSettings, Megahertz, MetricsAt, ModemSettings, OtaaSettings, OutputSettings, Protocol,
    RadioSettings, Settings, SpiPort, StoreSettings, Tenant, TenantKind, Upstream,
};
pub use site::Site;
pub use source::{Effective, Place, Sources};
pub use template::template;
pub use timing::{Day, DayTime, Hours, Zone};

/// The names of the profiles that come with lykta.
pub fn builtin_profiles() -> Vec<String> {
    let (profiles, _) = profile::Profiles::load(&[], std::path::Path::new(""));
    profiles.names().into_iter().map(str::to_owned).collect()
}
