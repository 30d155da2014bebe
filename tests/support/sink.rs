//! A recording MQTT broker in the test's own process, for what a well-behaved one never does:
//! it writes down every message before it acknowledges it, and acknowledges as told.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// How the broker behaves.
pub struct Script {
    /// The n-th connection is cut after so many messages, acknowledged or not. Those behind
    /// the last number are not cut.
    pub cut_after: Vec<usize>,
    /// So many acknowledgements are shuffled among themselves. 1: all in order.
    pub shuffle: usize,
    /// How long each acknowledgement waits.
    pub delay: Duration,
    /// What the first CONNACK and its followers say of an earlier session.
    pub session_present: bool,
    /// The first connections get no CONNACK: so many are left without an answer.
    pub mute: usize,
    /// MQTT 5: how many messages may be under way.
    pub receive_maximum: Option<u16>,
    /// MQTT 5: how large a packet may be, as it says itself. It takes larger ones.
    pub maximum_packet: Option<u32>,
    /// Which messages are refused (MQTT 5), by the end of their topic.
    pub refused: &'static [&'static str],
    /// Messages on topics that end so make the broker close the connection.
    pub abhorred: &'static [&'static str],
    /// MQTT 5: a reason to say goodbye with instead of a plain cut.
    pub goodbye: Option<u8>,
    /// What the n-th connection for commands gets. Those behind the last are granted.
    pub subscriptions: Vec<Answer>,
}

/// What becomes of a connection for commands, and its subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Grant,
    Refuse,
    /// The connection is closed.
    Close,
    /// Nothing is said; the packet identifier counts as free.
    Silence,
    /// Granted, and then comes a message larger than any client should take.
    Giant,
    /// Granted, and the connection that messages come by is closed.
    Jealousy,
    /// The connection is not accepted.
    Unwelcome,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            cut_after: vec![],
            shuffle: 1,
            delay: Duration::ZERO,
            session_present: false,
            mute: 0,
            receive_maximum: None,
            maximum_packet: None,
            refused: &[],
            abhorred: &[],
            goodbye: None,
            subscriptions: vec![],
        }
    }
}

/// A message as it arrived.
#[derive(Debug, Clone)]
pub struct Record {
    pub topic: String,
    pub body: serde_json::Value,
    pub refused: bool,
}

/// The running broker. It ends with its owner.
pub struct Sink {
    pub port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    script: Script,
    records: Mutex<Vec<Record>>,
    connections: AtomicUsize,
    most_under_way: AtomicUsize,
    subscriptions: AtomicUsize,
    /// Connections for commands, and those that asked for a new session.
    ears: AtomicUsize,
    afresh: AtomicUsize,
    /// How often the connections that messages come by were closed for jealousy.
    jealousies: AtomicUsize,
    misnumbered: AtomicUsize,
    largest: AtomicUsize,
    healths: AtomicUsize,
    relented: AtomicBool,
    stop: AtomicBool,
}

impl Sink {
    pub fn start(script: Script) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            script,
            records: Mutex::default(),
            connections: AtomicUsize::new(0),
            most_under_way: AtomicUsize::new(0),
            subscriptions: AtomicUsize::new(0),
            ears: AtomicUsize::new(0),
            afresh: AtomicUsize::new(0),
            jealousies: AtomicUsize::new(0),
            misnumbered: AtomicUsize::new(0),
            largest: AtomicUsize::new(0),
            healths: AtomicUsize::new(0),
            relented: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if accepting.stop.load(SeqCst) {
                    return;
                }
                let shared = Arc::clone(&accepting);
                std::thread::spawn(move || Connection::new(stream, &shared).serve());
            }
        });
        Self { port, shared }
    }

    /// All stored messages so far: those with a body that has the number `n`.
    pub fn records(&self) -> Vec<Record> {
        self.lock().clone()
    }

    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// Those that messages come by.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(SeqCst)
    }

    /// Those for commands that gave up the session before.
    pub fn afresh(&self) -> usize {
        self.shared.afresh.load(SeqCst)
    }

    /// The most messages that were ever unacknowledged at once.
    pub fn most_under_way(&self) -> usize {
        self.shared.most_under_way.load(SeqCst)
    }

    /// How many subscriptions were asked for.
    pub fn subscriptions(&self) -> usize {
        self.shared.subscriptions.load(SeqCst)
    }

    /// How often a packet identifier was used that was in use, which MQTT forbids.
    pub fn misnumbered(&self) -> usize {
        self.shared.misnumbered.load(SeqCst)
    }

    /// The most bytes that a packet had, but for its first few.
    pub fn largest(&self) -> usize {
        self.shared.largest.load(SeqCst)
    }

    /// How often the gateway has said how it is, and it was taken.
    pub fn healths(&self) -> usize {
        self.shared.healths.load(SeqCst)
    }

    /// From now on nothing is refused or abhorred.
    pub fn relent(&self) {
        self.shared.relented.store(true, SeqCst);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Record>> {
        self.shared.records.lock().unwrap()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.shared.stop.store(true, SeqCst);
        // wakes the thread that accepts
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

struct Connection<'a> {
    stream: TcpStream,
    /// Among those of its kind.
    number: usize,
    /// Whether commands are to go out by it.
    for_commands: bool,
    /// How often there had been jealousy before it.
    jealousies: usize,
    shared: &'a Shared,
    v5: bool,
    buffer: Vec<u8>,
    /// Packet identifiers not yet acknowledged: due when, and with which reason.
    due: VecDeque<(Instant, u16, u8)>,
    /// The subscription that is not answered yet: due when, and its packet identifier.
    asked: Option<(Instant, u16)>,
    published: usize,
    random: fastrand::Rng,
}

/// Whether the connection goes on.
type GoesOn = bool;

impl<'a> Connection<'a> {
    fn new(stream: TcpStream, shared: &'a Shared) -> Self {
        // short, so that what is due goes out also when nothing comes in
        stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            number: 0,
            for_commands: false,
            jealousies: shared.jealousies.load(SeqCst),
            shared,
            v5: false,
            buffer: vec![],
            due: VecDeque::new(),
            asked: None,
            published: 0,
            random: fastrand::Rng::with_seed(0),
        }
    }

    fn serve(mut self) {
        let mut chunk = [0; 65_536];
        loop {
            let idle = match self.stream.read(&mut chunk) {
                Ok(0) => return,
                Ok(len) => {
                    self.buffer.extend_from_slice(&chunk[..len]);
                    false
                }
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => true,
                Err(_) => return,
            };
            while let Some((first, packet)) = self.packet() {
                if !self.take(first, &packet) {
                    return;
                }
            }
            let jealousies = self.shared.jealousies.load(SeqCst);
            let unwanted = !self.for_commands && jealousies > self.jealousies;
            if unwanted || self.shared.stop.load(SeqCst) || !self.acknowledge(idle) {
                return;
            }
        }
    }

    /// Splits the next whole packet off the buffer: its first byte and what follows the length.
    fn packet(&mut self) -> Option<(u8, Vec<u8>)> {
        let (len, header) = variable_length(self.buffer.get(1..)?)?;
        let end = 1 + header + len;
        if self.buffer.len() < end {
            return None;
        }
        let packet: Vec<u8> = self.buffer.drain(..end).collect();
        Some((packet[0], packet[1 + header..].to_vec()))
    }

    fn take(&mut self, first: u8, packet: &[u8]) -> GoesOn {
        match first >> 4 {
            1 => self.connect(packet),
            3 => self.publish(first, packet),
            8 => self.subscribe(packet),
            12 => self.send(&[0xd0, 0]),
            _ => false, // DISCONNECT, and what a publisher never sends
        }
    }

    fn connect(&mut self, packet: &[u8]) -> GoesOn {
        self.v5 = packet[6] == 5;
        let afresh = packet[7] & 2 != 0;
        let mut rest = &packet[10..];
        if self.v5 {
            let (len, header) = variable_length(rest).unwrap();
            rest = &rest[header + len..];
        }
        let len = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
        self.for_commands = rest[2..2 + len].ends_with(b"-commands");
        let all = if self.for_commands { &self.shared.ears } else { &self.shared.connections };
        self.number = all.fetch_add(1, SeqCst);
        self.random.seed(self.number as u64);
        if self.for_commands {
            self.shared.afresh.fetch_add(usize::from(afresh), SeqCst);
            if self.answer() == Answer::Unwelcome {
                let code = if self.v5 { 0x87 } else { 5 };
                let answer = [&[0, code][..], if self.v5 { &[0] } else { &[] }].concat();
                self.send(&[&[0x20, answer.len() as u8], answer.as_slice()].concat());
                return false;
            }
        }
        let Script { mute, receive_maximum, maximum_packet, session_present, .. } =
            self.shared.script;
        if self.number < mute && !self.for_commands {
            return true;
        }
        let mut properties = vec![];
        if let Some(maximum) = receive_maximum {
            properties.push(33);
            properties.extend(maximum.to_be_bytes());
        }
        if let Some(maximum) = maximum_packet {
            properties.push(39);
            properties.extend(maximum.to_be_bytes());
        }
        let mut answer = vec![u8::from(session_present), 0];
        if self.v5 {
            answer.push(properties.len() as u8);
            answer.extend(properties);
        }
        self.send(&[&[0x20, answer.len() as u8], answer.as_slice()].concat())
    }

    fn subscribe(&mut self, packet: &[u8]) -> GoesOn {
        self.shared.subscriptions.fetch_add(1, SeqCst);
        let identifier = u16::from_be_bytes([packet[0], packet[1]]);
        self.note_identifier(identifier);
        assert!(self.for_commands, "nothing comes in where messages go out");
        if self.answer() == Answer::Jealousy {
            self.shared.jealousies.fetch_add(1, SeqCst);
        }
        let due = Instant::now() + self.shared.script.delay;
        self.asked = (self.answer() != Answer::Silence).then_some((due, identifier));
        self.answer() != Answer::Close
    }

    fn answer(&self) -> Answer {
        *self.shared.script.subscriptions.get(self.number).unwrap_or(&Answer::Grant)
    }

    /// Answers the subscription when it is due.
    fn answer_subscription(&mut self) -> GoesOn {
        let answer = self.answer();
        let due = self.asked.take_if(|(at, _)| *at <= Instant::now());
        let Some((_, identifier)) = due else { return true };
        let reason = match (answer, self.v5) {
            (Answer::Refuse, true) => 0x87,
            (Answer::Refuse, false) => 0x80,
            _ => 1,
        };
        let [high, low] = identifier.to_be_bytes();
        let sent = match self.v5 {
            true => self.send(&[0x90, 4, high, low, 0, reason]),
            false => self.send(&[0x90, 3, high, low, reason]),
        };
        // the head is enough: a retained message with QoS 0 of 2 MB
        sent && (answer != Answer::Giant || self.send(&[0x31, 0x80, 0x80, 0x80, 0x01]))
    }

    fn note_identifier(&self, identifier: u16) {
        let asked = self.asked.iter().map(|(_, id)| *id);
        if asked.chain(self.due.iter().map(|(_, id, _)| *id)).any(|id| id == identifier) {
            self.shared.misnumbered.fetch_add(1, SeqCst);
        }
    }

    fn publish(&mut self, first: u8, packet: &[u8]) -> GoesOn {
        assert_eq!(first >> 1 & 3, 1, "QoS 1");
        let topic_end = 2 + usize::from(u16::from_be_bytes([packet[0], packet[1]]));
        let topic = String::from_utf8(packet[2..topic_end].to_vec()).unwrap();
        let identifier = u16::from_be_bytes([packet[topic_end], packet[topic_end + 1]]);
        assert_ne!(identifier, 0);
        self.note_identifier(identifier);
        let mut payload = &packet[topic_end + 2..];
        if self.v5 {
            let (len, header) = variable_length(payload).unwrap();
            payload = &payload[header + len..];
        }
        self.shared.largest.fetch_max(packet.len(), SeqCst);
        let relented = self.shared.relented.load(SeqCst);
        let ends = |list: &[&str]| !relented && list.iter().any(|end| topic.ends_with(end));
        if ends(self.shared.script.abhorred) {
            return false;
        }
        let refused = self.v5 && ends(self.shared.script.refused);
        if topic.ends_with("/health") && !refused {
            self.shared.healths.fetch_add(1, SeqCst);
        }
        let body: serde_json::Value = serde_json::from_slice(payload).unwrap();
        if body.get("n").is_some() {
            let record = Record { topic, body, refused };
            self.shared.records.lock().unwrap().push(record);
        }
        self.published += 1;
        let reason = if refused { 0x87 } else { 0 };
        self.due.push_back((Instant::now() + self.shared.script.delay, identifier, reason));
        self.shared.most_under_way.fetch_max(self.due.len(), SeqCst);
        let cut = self.shared.script.cut_after.get(self.number);
        if cut.is_some_and(|n| self.published >= *n) {
            if let Some(reason) = self.shared.script.goodbye {
                self.send(&[0xe0, 2, reason, 0]);
                self.drain();
            }
            return false;
        }
        true
    }

    /// Closes this side and reads on until the other does: with anything unread the kernel
    /// would reset the connection, and the goodbye might never be seen.
    fn drain(&mut self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
        let _ = self.stream.set_read_timeout(Some(Duration::from_secs(5)));
        while matches!(self.stream.read(&mut [0; 4096]), Ok(1..)) {}
    }

    /// Acknowledges what is due. What is to be shuffled waits for its group, unless nothing
    /// comes any more.
    fn acknowledge(&mut self, idle: bool) -> GoesOn {
        if !self.answer_subscription() {
            return false;
        }
        let now = Instant::now();
        loop {
            let ready = self.due.iter().take_while(|(at, ..)| *at <= now).count();
            let size = self.shared.script.shuffle.min(ready);
            if size == 0 || (size < self.shared.script.shuffle && !idle) {
                return true;
            }
            let mut group: Vec<_> = self.due.drain(..size).collect();
            self.random.shuffle(&mut group);
            for (_, identifier, reason) in group {
                let [high, low] = identifier.to_be_bytes();
                let sent = match (self.v5, reason) {
                    (true, 0x80..) => self.send(&[0x40, 3, high, low, reason]),
                    _ => self.send(&[0x40, 2, high, low]),
                };
                if !sent {
                    return false;
                }
            }
        }
    }

    fn send(&mut self, packet: &[u8]) -> GoesOn {
        self.stream.write_all(packet).is_ok()
    }
}

/// MQTT's variable length: the number, and how many bytes it takes.
fn variable_length(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0;
    for (n, byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * n);
        if byte & 0x80 == 0 {
            return Some((value, n + 1));
        }
    }
    None
}
