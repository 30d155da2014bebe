//! Settings of upstreams under test.

use lykta::config::{Protocol, Upstream};
use std::time::Duration;

/// An impatient upstream to this broker, with nothing that a broker could ask for.
pub fn upstream(url: String, protocol: Protocol) -> Upstream {
    Upstream {
        urls: vec![url.try_into().unwrap()],
        prefix: "lykta".into(),
        protocol,
        client_id: None,
        ca: None,
        cert: None,
        key: None,
        username: None,
        password_file: None,
        keep_alive: Duration::from_secs(5),
        reconnect_min: Duration::from_millis(5),
        reconnect_max: Duration::from_millis(20),
        daily_mb: 0,
        backlog_rate: 0,
        backlog_delay: Duration::ZERO,
        commands: true,
        command_session: Duration::from_secs(3600),
        reconnect_stable: Duration::from_secs(300),
        reconnect_alarm_max: Duration::from_millis(20),
        set_aside_after: Duration::from_secs(3600),
    }
}
