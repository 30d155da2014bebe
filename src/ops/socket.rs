//! The Unix-domain socket at which the daemon is asked how it is.
//!
//! A client sends one line (`status`, `devices`, `device DEVEUI`, `plan NAME`, `plan-state NAME` or
//! `plan-now NAME`) and receives one line of JSON: a document of [`super::status`],
//! [`super::device`] or [`super::plan`], or `{"error": "…"}`. Only the daemon's own user and root may
//! connect. No client is trusted all the same: few at a time, short lines, short waits.

use super::access::{self, Reader};
use super::card::Card;
use super::device::{Devices, OneDevice};
use super::health::{TenantView, View};
use super::inquiry::{Answer, Ask, Inside, Question};
use super::plan::OnePlan;
use super::status::{ClassStatus, ConcentratorSeen, Status};
use crate::config::TenantKind;
use crate::message;
use crate::planning::{Board, Desk, Notice, Order, Outcome};
use crate::store::{Database, Survey};
use crate::units::{GatewayId, PlanName, TenantId};
use serde::Serialize;
use serde_json::json;
use socket2::{Domain, SockAddr, Socket, Type};
use std::collections::{BTreeSet, HashMap};
use std::fs::{File, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::{JoinHandle, JoinSet, spawn_blocking};
use tokio::time::{sleep, timeout};

/// Its name in the state directory.
pub const SOCKET: &str = "lykta.sock";

/// How many may ask at once. Bounds memory: the list of 5,000 devices takes 3 MB for each.
const MAX_CLIENTS: usize = 4;

/// How long a client may take to ask, and to read the answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest request: `plan-state` with the name of a plan, of 64 characters, and a number.
const MAX_REQUEST: usize = 128;

/// How long to wait before the socket is tried again.
const RETRY: Duration = Duration::from_secs(60);

/// After an error of the socket, so that no core is burnt on one that stays.
const ERROR_PAUSE: Duration = Duration::from_millis(100);

/// Knows the answers.
#[derive(Debug)]
pub struct Reporter {
    /// This gateway's name.
    pub gateway: GatewayId,
    /// What can be seen without asking.
    pub view: Arc<View>,
    /// What is written to the card.
    pub card: Arc<Card>,
    /// The way to the owner of the devices.
    pub ask: Ask,
    /// Where plans are ordered.
    pub desk: Desk,
    /// Where plans can be seen.
    pub board: Board,
    /// The plans that tell of residents, and whose they are.
    pub patrols: HashMap<PlanName, TenantId>,
}

/// Opens the socket in the state directory, which must be this process's own, and serves it until
/// the task is aborted; the file goes with it. A socket that cannot be opened is told, and tried
/// again: the gateway works without it.
pub fn serve(state_dir: &Path, reporter: Arc<Reporter>) -> JoinHandle<()> {
    let path = state_dir.join(SOCKET);
    let first = open(&path);
    tokio::spawn(run(path, first, reporter))
}

async fn run(path: PathBuf, first: io::Result<UnixListener>, reporter: Arc<Reporter>) {
    let mut opened = first;
    let mut told = false;
    let _leftover = Leftover(path.clone());
    loop {
        match opened {
            Ok(listener) => {
                if std::mem::take(&mut told) {
                    log::info!(
                        MESSAGE_ID = message::STATUS_SOCKET_OPEN;
                        "lykta can be asked by \"lykta status\" again"
                    );
                }
                tokio::select! {
                    () = accept(&listener, &reporter) => {}
                    () = removed(&path) => {}
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut told, true) {
                    log::warn!(
                        MESSAGE_ID = message::STATUS_SOCKET, LYKTA_REASON = error.to_string();
                        "lykta cannot be asked by \"lykta status\": {}: {error}; all else goes on",
                        path.display()
                    );
                }
                sleep(RETRY).await;
            }
        }
        opened = open(&path);
    }
}

/// Ends when somebody has removed the socket's file.
async fn removed(path: &Path) {
    while path.exists() {
        sleep(RETRY).await;
    }
}

async fn accept(listener: &UnixListener, reporter: &Arc<Reporter>) {
    let mut clients = JoinSet::new();
    loop {
        // those that have just ended take no place
        while clients.try_join_next().is_some() {}
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, _)) if clients.len() < MAX_CLIENTS => {
                    clients.spawn(converse(client, Arc::clone(reporter)));
                }
                Ok((client, _)) => refuse(&client),
                Err(error) => {
                    log::debug!("status socket: {error}");
                    sleep(ERROR_PAUSE).await;
                }
            },
            Some(_) = clients.join_next() => {}
        }
    }
}

/// Removes the socket's file with the socket.
struct Leftover(PathBuf);

impl Drop for Leftover {
    fn drop(&mut self) {
        // a file that stays is replaced by the next start
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Opens the socket in place of one that a dead process left behind: whoever holds the state
/// directory knows that nobody listens there.
fn open(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // before the file is there, so that there is no moment in which others may connect
    let socket = File::from(OwnedFd::from(socket));
    socket.set_permissions(Permissions::from_mode(0o600))?;
    let socket = Socket::from(OwnedFd::from(socket));
    socket.bind(&SockAddr::unix(path)?)?;
    socket.listen(MAX_CLIENTS as i32 * 4)?;
    socket.set_nonblocking(true)?;
    UnixListener::from_std(OwnedFd::from(socket).into())
}

/// Tells one client too many, if it takes so few bytes at once.
fn refuse(client: &UnixStream) {
    let _ = client.try_write(&error("too many ask at once; try again in a moment"));
}

async fn converse(mut client: UnixStream, reporter: Arc<Reporter>) {
    let Ok(Ok(request)) = timeout(PATIENCE, read(&mut client)).await else {
        // silent, or gone
        return;
    };
    let answer = match request {
        Some(request) => reporter.answer(&request, reader(&client)).await,
        None => error("no request is that long"),
    };
    // a client that does not read is left alone
    let _ = timeout(PATIENCE, client.write_all(&answer)).await;
}

/// Who asks.
fn reader(client: &UnixStream) -> Reader {
    let peer = client.peer_cred().ok();
    let pid = peer.and_then(|peer| peer.pid()).and_then(|pid| u32::try_from(pid).ok());
    Reader { uid: peer.map(|peer| peer.uid()), pid }
}

/// The line that a client sends; `None` when it is too long.
async fn read(client: &mut UnixStream) -> io::Result<Option<String>> {
    let mut line = Vec::with_capacity(MAX_REQUEST);
    while line.len() < MAX_REQUEST {
        match client.read_u8().await? {
            b'\n' => return Ok(Some(String::from_utf8_lossy(&line).into_owned())),
            byte => line.push(byte),
        }
    }
    Ok(None)
}

fn error(what: &str) -> Vec<u8> {
    line(&json!({ "error": what }))
}

fn line(document: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(document)
        .unwrap_or_else(|error| format!("{{\"error\":\"internal: {error}\"}}").into_bytes());
    line.push(b'\n');
    line
}

/// Why what only the owner of the devices knows is missing.
const NO_ANSWER: &str = "the ingest loop does not answer";

/// What waits in a database. One that cannot be read is told of elsewhere.
pub(crate) fn classes(database: Database) -> Vec<ClassStatus> {
    let outlined = Survey::open(database).and_then(|mut survey| survey.outline());
    let all = outlined.unwrap_or_default().into_iter();
    all.filter(|of| of.waiting + of.set_aside > 0)
        .map(|of| ClassStatus {
            class: of.class.as_str().to_owned(),
            waiting: of.waiting,
            set_aside: of.set_aside,
            oldest: of.oldest.map(|told| told.time),
        })
        .collect()
}

impl Reporter {
    /// The document that answers a request, as a line.
    async fn answer(&self, request: &str, reader: Reader) -> Vec<u8> {
        match request.trim().split_once(' ') {
            None if request.trim() == "status" => line(&self.status().await),
            None if request.trim() == "devices" => {
                line(&self.ask_for(Question::Devices, reader).await)
            }
            Some(("device", dev_eui)) => match dev_eui.parse() {
                Ok(dev_eui) => {
                    let Devices { time, devices, residents_of, trouble } =
                        self.ask_for(Question::Device(dev_eui), reader).await;
                    let device = devices.and_then(|mut devices| devices.pop());
                    line(&OneDevice { time, device, residents_of, trouble })
                }
                Err(why) => error(&format!("no DevEUI: {why}")),
            },
            None if request.trim() == "plan" => self.plan(request.trim(), None, reader),
            Some((verb @ ("plan" | "plan-now"), name)) => self.plan(verb, Some(name), reader),
            Some(("plan-state", rest)) => match rest.split_once(' ') {
                Some((name, ticket)) => self.plan_state(name, ticket),
                None => error("say which order: plan-state NAME TICKET"),
            },
            _ => error(
                "requests are: status, devices, device DEVEUI, plan NAME, plan-now NAME, \
                 plan-state NAME TICKET",
            ),
        }
    }

    /// What is known of a plan; without a name, of the only one.
    fn plan(&self, verb: &str, name: Option<&str>, reader: Reader) -> Vec<u8> {
        let names = self.board.names();
        let list = || names.iter().map(PlanName::as_str).collect::<Vec<_>>().join(", ");
        let name = match (name, &names[..]) {
            (_, []) => {
                return error("no plan is made here: there is no [plan.NAME] in the settings");
            }
            (Some(name), _) => names.iter().find(|known| known.as_str() == name),
            (None, [only]) => Some(only),
            (None, _) => {
                return error(&format!("there is more than one plan, say which: {}", list()));
            }
        };
        let Some(notice) = name.and_then(|name| self.board.notice(name)) else {
            return error(&format!("there is no such plan; there are: {}", list()));
        };
        let name = name.cloned();
        let mut ticket = None;
        if verb == "plan-now" {
            let number = self.board.draw();
            let order = name.clone().map(|name| Order::Now { name, ticket: number });
            if !order.is_some_and(|order| self.desk.pass(order)) {
                return error("too many plans are waiting to be made; try again in a moment");
            }
            ticket = Some(number);
        }
        let plan = notice.sheet.filter(|_| verb == "plan");
        let tenant = name.as_ref().and_then(|name| self.patrols.get(name));
        let residents_of: Vec<_> = tenant.filter(|_| plan.is_some()).cloned().into_iter().collect();
        access::shown(&residents_of, access::VISITS, reader);
        line(&OnePlan {
            name,
            plan,
            residents_of,
            search: notice.search,
            ticket,
            open: ticket.is_some(),
            trouble: notice.trouble,
        })
    }

    /// What became of an order.
    fn plan_state(&self, name: &str, ticket: &str) -> Vec<u8> {
        let (Ok(name), Ok(ticket)) = (name.parse::<PlanName>(), ticket.parse()) else {
            return error("say which order: plan-state NAME TICKET");
        };
        let Some(Notice { search, .. }) = self.board.notice(&name) else {
            return error("there is no such plan");
        };
        let (open, trouble) = match self.board.outcome(ticket) {
            Outcome::Open => (true, None),
            Outcome::Made => (false, None),
            Outcome::InVain(trouble) => (false, Some(trouble)),
            Outcome::Unknown => {
                (false, Some("nobody knows this order: the daemon was started anew".to_owned()))
            }
        };
        let (name, ticket) = (Some(name), Some(ticket));
        let residents_of = Vec::new();
        line(&OnePlan { name, plan: None, residents_of, search, ticket, open, trouble })
    }

    /// How everything is, with what waits by class.
    async fn status(&self) -> Status {
        let mut status = self.overview().await;
        let databases: Vec<_> =
            self.view.tenants().iter().map(|tenant| tenant.database.clone()).collect();
        // beside the daemon's own work, as any other program would read them
        let look = spawn_blocking(move || databases.into_iter().map(classes).collect::<Vec<_>>());
        if let Ok(Ok(all)) = timeout(PATIENCE, look).await {
            for (tenant, classes) in status.tenants.iter_mut().zip(all) {
                tenant.classes = classes;
            }
        }
        status
    }

    /// How everything is, as far as that is known without reading a disk.
    pub(super) async fn overview(&self) -> Status {
        let (inside, trouble) = match self.ask.ask(Question::Status).await {
            Some(Answer::Status(inside)) => (Some(*inside), None),
            _ => (None, Some(NO_ANSWER.to_owned())),
        };
        let devices = inside.as_ref().map(|inside| inside.devices);
        let answers = inside.as_ref().map(|inside| inside.answers);
        let Inside { radios, airtime, capacity, mut faults, .. } = inside.unwrap_or_default();
        let now = self.view.now();
        let machine = self.view.machine();
        faults = self.view.all_faults(&machine, faults);
        let seen = self.view.concentrators();
        let concentrators = seen.iter().map(|seen| ConcentratorSeen::new(seen, now.monotonic));
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            gateway: self.gateway.clone(),
            time: now.wall,
            clock: now.quality,
            uptime_s: self.view.uptime().as_secs(),
            air: self.view.air().into(),
            faults,
            machine: Some(machine),
            listening: self.view.listening(),
            concentrator: self.view.concentrator().into(),
            dropped: self.view.dropped(),
            card: Some(self.card.note(now)),
            tenants: self.view.tenants().iter().map(TenantView::status).collect(),
            concentrators: concentrators.collect(),
            radios,
            answers,
            airtime,
            capacity,
            devices,
            stopped_codecs: self.view.stopped_codecs(),
            trouble,
        }
    }

    async fn ask_for(&self, question: Question, reader: Reader) -> Devices {
        let (devices, trouble) = match self.ask.ask(question).await {
            Some(Answer::Devices(devices)) => (Some(devices), None),
            _ => (None, Some(NO_ANSWER.to_owned())),
        };
        let tenants = self.view.tenants().iter();
        let of_care = |id: &TenantId| {
            tenants.clone().any(|tenant| tenant.id == *id && tenant.kind == TenantKind::Care)
        };
        let theirs = devices.iter().flatten().map(|device| &device.tenant);
        let theirs: BTreeSet<_> = theirs.filter(|id| of_care(id)).cloned().collect();
        let residents_of = Vec::from_iter(theirs);
        access::shown(&residents_of, access::DEVICES, reader);
        Devices { time: self.view.now().wall, devices, residents_of, trouble }
    }
}
