//! A way to the broker that breaks when it is told to.

use crate::support::{Broker, free_tcp_port};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

pub struct Gate {
    pub port: u16,
    ways: Arc<Mutex<Vec<TcpStream>>>,
}

impl Gate {
    pub fn before(broker: &Broker) -> Self {
        let (port, inner) = (free_tcp_port(), broker.port);
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let ways = Arc::<Mutex<Vec<TcpStream>>>::default();
        let all = Arc::clone(&ways);
        thread::spawn(move || {
            for outside in listener.incoming().map_while(Result::ok) {
                let Ok(inside) = TcpStream::connect(("127.0.0.1", inner)) else { continue };
                for (from, to) in [(&outside, &inside), (&inside, &outside)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    thread::spawn(move || pass(from, to));
                }
                all.lock().unwrap().extend([outside, inside]);
            }
        });
        Self { port, ways }
    }

    pub fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    /// Breaks every connection there is.
    pub fn cut(&self) {
        for way in self.ways.lock().unwrap().drain(..) {
            // it may be over already
            let _ = way.shutdown(Shutdown::Both);
        }
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    let mut bytes = [0; 4096];
    while let Ok(len @ 1..) = from.read(&mut bytes)
        && to.write_all(&bytes[..len]).is_ok()
    {}
    let _ = to.shutdown(Shutdown::Both);
}
