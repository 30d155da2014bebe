//! The profiles that come with lykta.

/// File name and text of each.
pub const PROFILES: &[(&str, &str)] = &[(
    "sensoneo-single.toml",
    r#"name = "sensoneo-single"
vendor = "Sensoneo"
model = "Single Sensor"
decoder = "sensoneo-single"
heartbeat = "24h"
"#,
)];
