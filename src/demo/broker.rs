//! An embedded MQTT broker that can be taken away and given back.
//!
//! rumqttd cannot be stopped within its process, so the gateway reaches it through a gate: a
//! small TCP relay that can be shut, which breaks every connection through it and refuses new
//! ones, as a broker does that is gone. The subscriber that plays the cloud goes past the gate.

use anyhow::Context;
use rumqttd::{Broker, Config, ConnectionSettings, RouterConfig, ServerSettings};
use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A running broker and the way to it.
#[derive(Debug)]
pub(super) struct Embedded {
    /// Where the cloud subscribes.
    pub(super) inside: SocketAddr,
    /// Where the gateway connects, through the gate.
    pub(super) gate: SocketAddr,
    open: watch::Sender<bool>,
}

impl Embedded {
    /// Starts the broker, with the gate open.
    pub(super) async fn start() -> anyhow::Result<Self> {
        let inside = free_port()?;
        let config = Config {
            router: RouterConfig {
                max_connections: 16,
                max_outgoing_packet_count: 200,
                max_segment_size: 10 * 1024 * 1024,
                max_segment_count: 10,
                ..RouterConfig::default()
            },
            // only MQTT 5: rumqttd cannot hand its messages on to a client of 3.1.1
            v5: Some(HashMap::from([("demo".into(), server(inside))])),
            ..Config::default()
        };
        let mut broker = Broker::new(config);
        std::thread::Builder::new().name("broker".into()).spawn(move || {
            // it ends with the process; when it cannot begin, nothing is reachable below
            let _ = broker.start();
        })?;
        reachable(inside).await.context("the embedded broker does not start")?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let gate = listener.local_addr()?;
        let (open, is_open) = watch::channel(true);
        tokio::spawn(relay(listener, inside, is_open));
        Ok(Self { inside, gate, open })
    }

    /// Takes the broker away, or gives it back.
    pub(super) fn set_open(&self, open: bool) {
        self.open.send_replace(open);
    }
}

fn server(listen: SocketAddr) -> ServerSettings {
    ServerSettings {
        name: "demo".into(),
        listen,
        tls: None,
        next_connection_delay_ms: 1,
        connections: ConnectionSettings {
            connection_timeout_ms: 10_000,
            max_payload_size: 256 * 1024,
            max_inflight_count: 200,
            auth: None,
            external_auth: None,
            dynamic_filters: true,
        },
    }
}

/// A port that is free now. rumqttd cannot choose one and say which.
fn free_port() -> std::io::Result<SocketAddr> {
    std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

async fn reachable(address: SocketAddr) -> anyhow::Result<()> {
    let attempt = async {
        while TcpStream::connect(address).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    Ok(tokio::time::timeout(std::time::Duration::from_secs(10), attempt).await?)
}

async fn relay(listener: TcpListener, behind: SocketAddr, open: watch::Receiver<bool>) {
    while let Ok((mut outer, _)) = listener.accept().await {
        if !*open.borrow() {
            continue; // dropped: the connection is reset at once
        }
        let mut open = open.clone();
        tokio::spawn(async move {
            let pass = async {
                if let Ok(mut inner) = TcpStream::connect(behind).await {
                    let _ = tokio::io::copy_bidirectional(&mut outer, &mut inner).await;
                }
            };
            tokio::select! {
                () = pass => {}
                _ = open.wait_for(|open| !open) => {}
            }
        });
    }
}
