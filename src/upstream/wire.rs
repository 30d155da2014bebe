//! Bytes to the broker and from it, over TCP or TLS.

use super::trouble::Trouble;
use bytes::{Buf, BytesMut};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// So many bytes are read at once: the acknowledgements of all messages that may be on their way
/// are far fewer.
const CHUNK: usize = 4096;

/// A buffer that has grown beyond this is given back when it is empty: a few long plans are not
/// what a backlog needs.
const SPARE: usize = 128 * 1024;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {
    fn tcp(&self) -> &TcpStream;
}

impl Stream for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Stream for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// An open connection.
pub(super) struct Wire {
    stream: Box<dyn Stream>,
    /// To be written.
    pub(super) out: BytesMut,
    /// Whether some of what was written may be held back by TLS.
    held_back: bool,
    /// Read, and not yet understood.
    pub(super) input: BytesMut,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}

impl Wire {
    /// Connects. No address of the host takes more than its share of this time.
    pub(super) async fn open(
        host: String,
        port: u16,
        tls: Option<Arc<ClientConfig>>,
        within: Duration,
    ) -> Result<Self, Trouble> {
        let found = lookup_host((host.as_str(), port)).await.map_err(Trouble::Io)?;
        let tcp = reach(&found.collect::<Vec<_>>(), within).await.map_err(Trouble::Io)?;
        // a message that waits for the acknowledgement of the segment before it waits 40 ms
        tcp.set_nodelay(true).map_err(Trouble::Io)?;
        let stream: Box<dyn Stream> = match tls {
            None => Box::new(tcp),
            Some(config) => {
                let name = ServerName::try_from(host).map_err(|_| Trouble::Name)?;
                let tls = TlsConnector::from(config).connect(name, tcp).await;
                Box::new(tls.map_err(Trouble::Io)?)
            }
        };
        let (out, input) = (BytesMut::new(), BytesMut::new());
        Ok(Self { stream, out, held_back: false, input })
    }

    /// Writes what is to go out, all of it at once, until something was read. Cancel-safe: what
    /// was written is no longer in `out`, and what was read is in `input`.
    pub(super) async fn exchange(&mut self) -> Result<(), Trouble> {
        poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Trouble>> {
        let written = self.write(context);
        // acknowledgements may have come before the end that is in the way of writing
        let mut space = [MaybeUninit::uninit(); CHUNK];
        let mut chunk = ReadBuf::uninit(&mut space);
        match (Pin::new(&mut *self.stream).poll_read(context, &mut chunk), written) {
            (Poll::Ready(Ok(())), _) if !chunk.filled().is_empty() => {
                self.input.extend_from_slice(chunk.filled());
                // a broker that gathers small answers keeps the next of them back until TCP
                // acknowledges this one, which the kernel puts off by 40 ms unless it is asked
                // each time; where it cannot be asked, what was read still counts
                let _ = self.stream.tcp().set_quickack(true);
                Poll::Ready(Ok(()))
            }
            (Poll::Ready(Err(error)), Ok(())) | (_, Err(error)) => {
                Poll::Ready(Err(Trouble::Io(error)))
            }
            (Poll::Ready(Ok(())), Ok(())) => Poll::Ready(Err(Trouble::Closed)),
            (Poll::Pending, Ok(())) => Poll::Pending,
        }
    }

    fn write(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let mut stream = Pin::new(&mut *self.stream);
        let mut written = 0;
        while written < self.out.len() {
            match stream.as_mut().poll_write(context, &self.out[written..])? {
                Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(count) => written += count,
                Poll::Pending => {
                    self.out.advance(written);
                    return Ok(());
                }
            }
            self.held_back = true;
        }
        self.out.clear();
        if self.out.capacity() > SPARE {
            self.out = BytesMut::new();
        }
        if self.held_back && stream.poll_flush(context)?.is_ready() {
            self.held_back = false;
        }
        Ok(())
    }
}

/// Connects to the first of these addresses that answers. One that does not, such as that of a
/// network without a way out, leaves the others their share of the time.
async fn reach(addresses: &[SocketAddr], within: Duration) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        let share = within / addresses.len() as u32;
        last = match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => error,
            Err(elapsed) => elapsed.into(),
        };
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpSocket};

    /// A place that answers nobody: its queue is full, and nobody is let in. Kept while these are.
    async fn black_hole() -> (SocketAddr, impl Sized) {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(([127, 0, 0, 1], 0).into()).expect("binds");
        let listener = socket.listen(1).expect("listens");
        let address = listener.local_addr().expect("has an address");
        let mut queue = Vec::new();
        let moment = Duration::from_millis(500);
        while let Ok(stream) = timeout(moment, TcpStream::connect(address)).await {
            queue.push(stream.expect("connects"));
        }
        (address, (listener, queue))
    }

    #[tokio::test]
    async fn an_address_that_does_not_answer_leaves_time_for_the_next() {
        let (dead, _kept) = black_hole().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
        let alive = listener.local_addr().expect("has an address");
        let addresses = [dead, dead, alive];
        let reached = reach(&addresses, Duration::from_secs(6));
        let reached = timeout(Duration::from_secs(30), reached).await;
        let stream = reached.expect("in time").expect("connects");
        assert_eq!(stream.peer_addr().expect("has a peer"), alive);
    }

    #[tokio::test]
    async fn a_peer_that_gathers_small_answers_waits_for_no_acknowledgement() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
        let port = listener.local_addr().expect("has an address").port();
        let opened = Wire::open("127.0.0.1".into(), port, None, Duration::from_secs(30));
        let (opened, peer) = tokio::join!(opened, listener.accept());
        let (mut wire, mut peer) = (opened.expect("connects"), peer.expect("accepts").0);
        // question and answer, after which the kernel puts acknowledgements off
        for _ in 0..20 {
            wire.out.extend_from_slice(b"?");
            let answer = async {
                peer.read_u8().await.expect("a question");
                peer.write_u8(b'!').await.expect("answers");
            };
            let (answered, ()) = tokio::join!(wire.exchange(), answer);
            answered.expect("an answer");
        }
        assert_eq!(wire.input.len(), 20);
        assert!(wire.stream.tcp().quickack().expect("a socket"));
    }

    #[tokio::test]
    async fn when_no_address_answers_it_says_so() {
        let (dead, _kept) = black_hole().await;
        let error = reach(&[dead, dead], Duration::from_millis(200)).await.expect_err("nobody");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let error = reach(&[], Duration::from_millis(200)).await.expect_err("nobody");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
