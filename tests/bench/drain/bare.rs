//! The limit: the MQTT library alone, which sends the same messages from memory as fast as it
//! can, with the same window, and forgets them.

use bytes::Bytes;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, PublishProperties};
use rumqttc::v5::{AsyncClient, Event, MqttOptions};

const WINDOW: usize = 100;

/// Publishes so many messages of this length, and waits for their acknowledgements.
pub fn publish(port: u16, rows: u64, len: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut options = MqttOptions::new("bare", "127.0.0.1", port);
        options.set_outgoing_inflight_upper_limit(WINDOW as u16);
        let mut network = rumqttc::NetworkOptions::new();
        network.set_tcp_nodelay(true);
        options.set_network_options(network);
        let (client, mut events) = AsyncClient::new(options, WINDOW);
        let payload = Bytes::from(vec![b'x'; len]);
        let (mut sent, mut out, mut up) = (0, 0, false);
        while sent < rows || out > 0 {
            while up && out < WINDOW && sent < rows {
                sent += 1;
                out += 1;
                let topic = format!("lykta/gw-1/waste/device/{:016x}/readings", sent % 5_000);
                let id = format!("0123456789abcdef0123456789abcdef-{sent}");
                let properties = PublishProperties {
                    user_properties: vec![
                        ("id".into(), id),
                        ("class".into(), "measurement".into()),
                        ("schema".into(), "1".into()),
                    ],
                    payload_format_indicator: Some(1),
                    content_type: Some("application/json".into()),
                    ..Default::default()
                };
                client
                    .try_publish_with_properties(
                        topic,
                        QoS::AtLeastOnce,
                        false,
                        payload.clone(),
                        properties,
                    )
                    .unwrap();
            }
            match events.poll().await.unwrap() {
                Event::Incoming(Packet::ConnAck(_)) => up = true,
                Event::Incoming(Packet::PubAck(_)) => out -= 1,
                _ => {}
            }
        }
    });
}
