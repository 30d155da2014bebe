//! Settings: read, checked, and explained.

mod settings;

pub use settings::{
    AbpSettings, Activation, BrokerUrl, Concentrator, DeviceSettings, Protocol, Settings,
    StoreSettings, Tenant, TenantKind, Upstream,
};
