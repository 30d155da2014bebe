//! `GET /metrics`, on the loopback or at a Unix-domain socket, for those who ask for it in the
//! settings. One request for each connection, few at a time, short lines, short waits.

use super::metrics;
use super::socket::Reporter;
use crate::config::MetricsAt;
use crate::message;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

/// How many may ask at once.
const MAX_CLIENTS: usize = 4;

/// How long a client may take to ask, and to read the answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest request, with all its headers.
const MAX_REQUEST: usize = 8 * 1024;

/// How long to wait before the address is tried again.
const RETRY: Duration = Duration::from_secs(60);

/// After an error of the socket, so that no core is burnt on one that stays.
const ERROR_PAUSE: Duration = Duration::from_millis(100);

/// A client, however it has come.
trait Client: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Client for T {}

enum Door {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Serves the metrics there until the task is aborted, and returns when the door is open, or not to
/// be opened now. Without an address there is nothing to do.
pub async fn serve(at: Option<MetricsAt>, reporter: Arc<Reporter>) -> JoinHandle<()> {
    let Some(at) = at else { return tokio::spawn(async {}) };
    let mut opened = open(&at).await;
    tokio::spawn(async move {
        let mut told = false;
        let door = loop {
            match opened {
                Ok(door) => break door,
                Err(error) if !std::mem::replace(&mut told, true) => log::warn!(
                    MESSAGE_ID = message::METRICS_CLOSED, LYKTA_REASON = error.to_string();
                    "metrics cannot be read at {at}: {error}; all else goes on, and it is tried \
                     again"
                ),
                Err(_) => {}
            }
            sleep(RETRY).await;
            opened = open(&at).await;
        };
        if told {
            log::info!(MESSAGE_ID = message::METRICS_OPEN; "metrics can be read at {at} again");
        }
        accept(&door, &reporter).await;
    })
}

async fn open(at: &MetricsAt) -> io::Result<Door> {
    match at {
        MetricsAt::Tcp(address) => TcpListener::bind(address).await.map(Door::Tcp),
        MetricsAt::Unix(path) => {
            // of a daemon before; what is no socket is somebody else's
            if fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket()) {
                fs::remove_file(path)?;
            }
            let listener = UnixListener::bind(path)?;
            // the group may read it, too
            fs::set_permissions(path, Permissions::from_mode(0o660))?;
            Ok(Door::Unix(listener))
        }
    }
}

async fn accept(door: &Door, reporter: &Arc<Reporter>) {
    let mut clients = JoinSet::new();
    loop {
        // those that have just ended take no place
        while clients.try_join_next().is_some() {}
        let accepted: io::Result<Box<dyn Client>> = tokio::select! {
            accepted = door.accept() => accepted,
            Some(_) = clients.join_next() => continue,
        };
        match accepted {
            // one too many finds the door shut, and comes again
            Ok(client) if clients.len() < MAX_CLIENTS => {
                clients.spawn(converse(client, Arc::clone(reporter)));
            }
            Ok(_) => {}
            Err(error) => {
                log::debug!("metrics: {error}");
                sleep(ERROR_PAUSE).await;
            }
        }
    }
}

impl Door {
    async fn accept(&self) -> io::Result<Box<dyn Client>> {
        Ok(match self {
            Self::Tcp(listener) => Box::new(listener.accept().await?.0),
            Self::Unix(listener) => Box::new(listener.accept().await?.0),
        })
    }
}

async fn converse(mut client: Box<dyn Client>, reporter: Arc<Reporter>) {
    let Ok(Ok(request)) = timeout(PATIENCE, read(&mut client)).await else {
        // silent, or gone
        return;
    };
    let (status, body) = match request.as_deref().map(asked) {
        Some(Asked::Metrics) => ("200 OK", metrics::text(&reporter.overview().await)),
        Some(Asked::Elsewhere) => ("404 Not Found", "there is /metrics and nothing else\n".into()),
        Some(Asked::Otherwise) => ("405 Method Not Allowed", "only GET\n".into()),
        Some(Asked::Nonsense) => ("400 Bad Request", "this is no HTTP\n".into()),
        None => ("431 Request Header Fields Too Large", "no request is that long\n".into()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let answer = async {
        client.write_all(head.as_bytes()).await?;
        client.write_all(body.as_bytes()).await?;
        client.shutdown().await
    };
    // a client that does not read is left alone
    let _ = timeout(PATIENCE, answer).await;
}

/// The head of a request; `None` when it is too long.
async fn read(client: &mut Box<dyn Client>) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    let mut piece = [0; 1024];
    while head.len() <= MAX_REQUEST {
        let len = client.read(&mut piece).await?;
        head.extend_from_slice(&piece[..len]);
        let is_whole = head.windows(4).any(|end| end == b"\r\n\r\n");
        if is_whole || len == 0 {
            return Ok(Some(head));
        }
    }
    Ok(None)
}

enum Asked {
    Metrics,
    Elsewhere,
    Otherwise,
    Nonsense,
}

fn asked(head: &[u8]) -> Asked {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    match words[..] {
        [method, target, version] if version.starts_with(b"HTTP/1.") => {
            let path = target.split(|byte| *byte == b'?').next().unwrap_or_default();
            match (method, path) {
                (b"GET", b"/metrics") => Asked::Metrics,
                (b"GET", _) => Asked::Elsewhere,
                _ => Asked::Otherwise,
            }
        }
        _ => Asked::Nonsense,
    }
}
