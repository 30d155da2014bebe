//! A way to the broker that can be made bad.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How the way is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Open,
    /// Nothing passes, and nothing is closed: a black hole.
    Stalled,
    /// Little passes at a time.
    Slow,
    /// Nobody listens, and what was connected is cut.
    Shut,
    /// Who connects anew is told that it may not.
    Refusing,
}

/// Passes connections on to a port of this machine.
pub struct Proxy {
    pub port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    to: u16,
    way: Mutex<Way>,
    connections: AtomicUsize,
    stop: AtomicBool,
}

/// How often a connection that has nothing to do looks at the way.
const LOOK: Duration = Duration::from_millis(2);

impl Proxy {
    pub fn to(to: u16) -> Self {
        let port = super::free_tcp_port();
        let shared = Arc::new(Shared {
            to,
            way: Mutex::new(Way::Open),
            connections: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
        });
        let listening = Arc::clone(&shared);
        std::thread::spawn(move || listening.listen(port));
        super::wait_until("the proxy listens", || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        });
        Self { port, shared }
    }

    /// How many there were so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(SeqCst)
    }

    pub fn set(&self, way: Way) {
        *self.shared.way.lock().unwrap() = way;
        if way == Way::Shut {
            // its port is free once nobody listens
            super::wait_until("nobody listens", || {
                TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err()
            });
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stop.store(true, SeqCst);
    }
}

impl Shared {
    fn way(&self) -> Way {
        if self.stop.load(SeqCst) { Way::Shut } else { *self.way.lock().unwrap() }
    }

    fn listen(self: &Arc<Self>, port: u16) {
        while !self.stop.load(SeqCst) {
            if self.way() == Way::Shut {
                std::thread::sleep(LOOK);
                continue;
            }
            let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) else {
                std::thread::sleep(LOOK);
                continue;
            };
            listener.set_nonblocking(true).unwrap();
            while self.way() != Way::Shut {
                match listener.accept() {
                    Ok((client, _)) => {
                        self.connections.fetch_add(1, SeqCst);
                        client.set_nonblocking(false).unwrap();
                        let shared = Arc::clone(self);
                        std::thread::spawn(move || shared.serve(client));
                    }
                    Err(_) => std::thread::sleep(LOOK),
                }
            }
        }
    }

    fn serve(self: Arc<Self>, client: TcpStream) {
        if self.way() == Way::Refusing {
            return refuse(client);
        }
        let Ok(broker) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.to)) else { return };
        let ends = [(&client, &broker), (&broker, &client)]
            .map(|(from, to)| (from.try_clone().unwrap(), to.try_clone().unwrap()));
        for (from, to) in ends {
            let shared = Arc::clone(&self);
            std::thread::spawn(move || shared.pass(from, to));
        }
    }

    /// Passes on until either end closes, or the way is shut.
    fn pass(&self, mut from: TcpStream, mut to: TcpStream) {
        from.set_read_timeout(Some(LOOK)).unwrap();
        to.set_nodelay(true).unwrap();
        let mut buffer = [0; 16 * 1024];
        loop {
            let way = self.way();
            let most = match way {
                Way::Shut => break,
                Way::Stalled => 0,
                Way::Slow => 200,
                Way::Open | Way::Refusing => buffer.len(),
            };
            if way == Way::Stalled || way == Way::Slow {
                std::thread::sleep(LOOK);
            }
            if most == 0 {
                continue;
            }
            match from.read(&mut buffer[..most]) {
                Ok(0) => break,
                Ok(len) => {
                    if to.write_all(&buffer[..len]).is_err() {
                        break;
                    }
                }
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => break,
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }
}

/// Answers the CONNECT as a broker does that knows no such user.
fn refuse(mut client: TcpStream) {
    let mut connect = [0; 1024];
    client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let Ok(len) = client.read(&mut connect) else { return };
    // the protocol's level follows its name
    let name = connect[..len].windows(4).position(|window| window == b"MQTT");
    let v5 = name.is_some_and(|at| connect[at + 4] == 5);
    let answer: &[u8] = if v5 { &[0x20, 3, 0, 0x87, 0] } else { &[0x20, 2, 0, 5] };
    let _ = client.write_all(answer);
}
