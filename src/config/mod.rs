//! Settings: read, checked, and explained.

mod secret;
mod settings;

pub use secret::{read_secret, secret_path};
pub use settings::{
    AbpSettings, Activation, BrokerUrl, Concentrator, DeviceSettings, Protocol, Settings,
    StoreSettings, Tenant, TenantKind, Upstream,
};
