//! A broker that does nothing but count and acknowledge, and a subscriber that does nothing but
//! count: so lean that whoever publishes is the limit.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

/// What arrived: all messages of devices, and each alarm by its number.
#[derive(Debug, Default)]
pub struct Books {
    pub messages: u64,
    pub bytes: u64,
    pub first: Option<Instant>,
    pub last: Option<Instant>,
    pub alarms: HashMap<u64, Instant>,
}

impl Books {
    fn note(&mut self, topic: &[u8], payload: &[u8]) {
        let now = Instant::now();
        if contains(topic, b"/device/") {
            self.messages += 1;
            self.bytes += payload.len() as u64;
            self.first.get_or_insert(now);
            self.last = Some(now);
        } else if let Some(n) = topic.strip_prefix(b"lykta/gw-1/waste/alarm/") {
            let n = std::str::from_utf8(n).ok().and_then(|n| n.parse().ok());
            self.alarms.entry(n.unwrap_or_default()).or_insert(now);
        }
    }

    /// Messages a second, from the first to the last.
    pub fn rate(&self) -> f64 {
        match (self.first, self.last) {
            (Some(first), Some(last)) if last > first => {
                self.messages as f64 / (last - first).as_secs_f64()
            }
            _ => 0.0,
        }
    }
}

pub type Shared = Arc<Mutex<Books>>;

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// Serves every connection; acknowledges after this delay. Its port, and what arrives.
pub fn broker(delay: Duration) -> (u16, Shared) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let books = Shared::default();
    let shared = Arc::clone(&books);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let books = Arc::clone(&shared);
            std::thread::spawn(move || serve(stream, delay, &books));
        }
    });
    (port, books)
}

fn serve(mut stream: TcpStream, delay: Duration, books: &Shared) {
    stream.set_nodelay(true).unwrap();
    let mut v5 = false;
    let mut late = (!delay.is_zero()).then(|| later(stream.try_clone().unwrap()));
    packets(stream.try_clone().unwrap(), |all| {
        let mut answer = Vec::new();
        let mut books = books.lock().unwrap();
        for (first, body) in all {
            match first >> 4 {
                1 => {
                    v5 = body[6] == 5;
                    let connack: &[u8] = if v5 { &[0x20, 3, 0, 0, 0] } else { &[0x20, 2, 0, 0] };
                    let _ = stream.write_all(connack);
                }
                3 => {
                    let end = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
                    books.note(&body[2..end], &body[end + 2..]);
                    answer.extend([0x40, 2, body[end], body[end + 1]]);
                }
                8 => {
                    let granted: &[u8] = if v5 {
                        &[0x90, 4, body[0], body[1], 0, 1]
                    } else {
                        &[0x90, 3, body[0], body[1], 1]
                    };
                    let _ = stream.write_all(granted);
                }
                12 => drop(stream.write_all(&[0xd0, 0])),
                _ => {}
            }
        }
        drop(books);
        match &mut late {
            Some(late) => late.send((Instant::now() + delay, answer)).is_ok(),
            None => stream.write_all(&answer).is_ok(),
        }
    });
}

/// Writes what it is given when it is due.
fn later(mut stream: TcpStream) -> mpsc::Sender<(Instant, Vec<u8>)> {
    let (sender, receiver) = mpsc::channel::<(Instant, Vec<u8>)>();
    std::thread::spawn(move || {
        for (due, answer) in receiver {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if stream.write_all(&answer).is_err() {
                return;
            }
        }
    });
    sender
}

/// Subscribes to everything at a real broker, with QoS 0; what arrives.
pub fn subscriber(port: u16) -> Shared {
    let connected = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok();
    let mut stream = loop {
        if let Some(stream) = connected() {
            break stream;
        }
    };
    let mut hello = vec![0x10, 0, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 0, 0, 5];
    hello.extend(b"count");
    hello[1] = (hello.len() - 2) as u8;
    hello.extend([0x82, 6, 0, 1, 0, 1, b'#', 0]);
    stream.write_all(&hello).unwrap();
    let books = Shared::default();
    let shared = Arc::clone(&books);
    let (ready, is_ready) = mpsc::channel();
    std::thread::spawn(move || {
        packets(stream, |all| {
            let mut books = shared.lock().unwrap();
            for (first, body) in all {
                match first >> 4 {
                    3 => {
                        let end = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
                        books.note(&body[2..end], &body[end..]);
                    }
                    9 => drop(ready.send(())),
                    _ => {}
                }
            }
            true
        });
    });
    is_ready.recv().unwrap();
    books
}

/// Reads until the end, and hands over all whole packets of each read: first byte and body.
fn packets(mut stream: TcpStream, mut take: impl FnMut(Vec<(u8, &[u8])>) -> bool) {
    let mut buffer = vec![0; 1 << 20];
    let (mut begin, mut end) = (0, 0);
    loop {
        match stream.read(&mut buffer[end..]) {
            Ok(len @ 1..) => end += len,
            _ => return,
        }
        let mut all = Vec::new();
        while let Some((header, len)) = header(&buffer[begin..end])
            && begin + header + len <= end
        {
            all.push((buffer[begin], &buffer[begin + header..begin + header + len]));
            begin += header + len;
        }
        if !take(all) {
            return;
        }
        buffer.copy_within(begin..end, 0);
        (begin, end) = (0, end - begin);
    }
}

/// The lengths of a packet's head and body.
fn header(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut len = 0;
    for (n, byte) in bytes.get(1..)?.iter().take(4).enumerate() {
        len |= usize::from(byte & 0x7f) << (7 * n);
        if byte & 0x80 == 0 {
            return Some((n + 2, len));
        }
    }
    None
}
