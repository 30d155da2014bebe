//! A packet forwarder that transmits, too.

use super::{PATIENCE, packet};
use lykta::radio::gwmp::{self, Packet, PullResp};
use lykta::units::GatewayEui;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

/// A packet forwarder: packets go up by one port, downlinks are asked for by another.
pub struct Forwarder {
    pub eui: GatewayEui,
    up: UdpSocket,
    down: UdpSocket,
    version: u8,
}

impl Forwarder {
    pub fn new(eui: u64, gateway: SocketAddr) -> Self {
        let socket = || {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.connect(gateway).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            socket
        };
        Self { eui: GatewayEui(eui), up: socket(), down: socket(), version: 2 }
    }

    /// Speaks this version of the protocol from now on.
    pub fn speak(&mut self, version: u8) {
        self.version = version;
    }

    /// Where downlinks are asked for.
    pub fn down(&self) -> SocketAddr {
        self.down.local_addr().unwrap()
    }

    /// Asks for downlinks and waits for the acknowledgement.
    pub fn pull(&self) {
        let ack = self.exchange(&self.down, gwmp::pull_data(self.eui, 0x1234));
        assert_eq!(ack, Some(vec![self.version, 0x12, 0x34, 4]));
    }

    /// Pushes this JSON and waits for the acknowledgement.
    pub fn push(&self, json: &str) {
        let mut datagram = gwmp::push_data(self.eui, 0x1234, &[]);
        datagram.truncate(12);
        datagram.extend(json.as_bytes());
        let ack = self.exchange(&self.up, datagram);
        assert_eq!(ack, Some(vec![self.version, 0x12, 0x34, 1]));
    }

    /// Pushes a frame that it heard at this time of its counter, and waits for the acknowledgement.
    pub fn forward(&self, phy: &[u8], tmst: u32) {
        let packet = Packet { tmst, ..packet(phy.to_vec(), -97.0, 5.5) };
        let ack = self.exchange(&self.up, gwmp::push_data(self.eui, 0x1234, &[packet]));
        assert_eq!(ack, Some(vec![self.version, 0x12, 0x34, 1]));
    }

    /// Asks for downlinks, to no avail.
    pub fn pull_in_vain(&self, patience: Duration) {
        self.down.set_read_timeout(Some(patience)).unwrap();
        assert_eq!(self.exchange(&self.down, gwmp::pull_data(self.eui, 7)), None);
    }

    fn exchange(&self, socket: &UdpSocket, mut datagram: Vec<u8>) -> Option<Vec<u8>> {
        datagram[0] = self.version;
        socket.send(&datagram).unwrap();
        let mut answer = [0; 16];
        let len = socket.recv(&mut answer).ok()?;
        Some(answer[..len].to_vec())
    }

    /// The next PULL_RESP, as bytes.
    pub fn pull_resp(&self) -> Vec<u8> {
        let mut bytes = [0; 2000];
        let len = self.down.recv(&mut bytes).unwrap();
        bytes[..len].to_vec()
    }

    /// Whether a PULL_RESP comes within this time. It is still there to be read.
    pub fn is_addressed_within(&self, patience: Duration) -> bool {
        self.down.set_read_timeout(Some(patience)).unwrap();
        let heard = self.down.peek(&mut [0; 2000]).is_ok();
        self.down.set_read_timeout(Some(PATIENCE)).unwrap();
        heard
    }

    /// The next PULL_RESP, read.
    pub fn downlink(&self) -> PullResp {
        gwmp::parse_pull_resp(&self.pull_resp()).unwrap()
    }

    /// Says what becomes of a transmission.
    pub fn ack(&self, token: u16, error: Option<&str>) {
        self.down.send(&gwmp::tx_ack(self.eui, token, error)).unwrap();
    }
}
