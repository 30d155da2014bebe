//! The peer: a mosquitto that bridges to another one, and holds what waits in memory.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, Command, Stdio};

use crate::support::{free_tcp_port, wait_until};

pub struct Bridge {
    process: Child,
    port: u16,
    _directory: tempfile::TempDir,
}

impl Bridge {
    /// To a broker at this port, which is not there yet.
    pub fn to(port: u16) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let own = free_tcp_port();
        let configuration = format!(
            "listener {own} 127.0.0.1\nallow_anonymous true\nlog_type none\n\
             max_queued_messages 0\nmax_inflight_messages 100\n\
             connection up\naddress 127.0.0.1:{port}\ntopic # out 1\ncleansession false\n\
             bridge_protocol_version mqttv50\nrestart_timeout 1 1\n"
        );
        let file = directory.path().join("mosquitto.conf");
        std::fs::write(&file, configuration).unwrap();
        let process = Command::new("mosquitto")
            .arg("-c")
            .arg(file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let bridge = Self { process, port: own, _directory: directory };
        wait_until("it listens", || TcpStream::connect((Ipv4Addr::LOCALHOST, own)).is_ok());
        bridge
    }

    /// Puts so many messages of this length into it.
    pub fn fill(&self, rows: u64, len: usize) {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        let mut hello = vec![0x10, 16, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 0, 0, 4];
        hello.extend(b"fill");
        stream.write_all(&hello).unwrap();
        stream.read_exact(&mut [0; 4]).unwrap();
        let mut acknowledged = vec![0; 4 * 1_000];
        let mut row = 0;
        while row < rows {
            let group = (rows - row).min(1_000);
            let mut packets = Vec::new();
            for n in 1..=group {
                let topic = format!("lykta/gw-1/waste/device/{:016x}/readings", (row + n) % 5_000);
                let size = 2 + topic.len() + 2 + len;
                packets.extend([0x32, size as u8 | 0x80, (size >> 7) as u8]);
                packets.extend((topic.len() as u16).to_be_bytes());
                packets.extend(topic.as_bytes());
                packets.extend((n as u16).to_be_bytes());
                packets.resize(packets.len() + len, b'x');
            }
            stream.write_all(&packets).unwrap();
            stream.read_exact(&mut acknowledged[..4 * group as usize]).unwrap();
            row += group;
        }
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
