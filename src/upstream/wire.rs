//! Bytes to the broker and from it, over TCP or TLS.

use super::trouble::Trouble;
use bytes::{Buf, BytesMut};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// So many bytes are read at once: the acknowledgements of all messages that may be on their way
/// are far fewer.
const CHUNK: usize = 4096;

/// A buffer that has grown beyond this is given back when it is empty: a few long plans are not
/// what a backlog needs.
const SPARE: usize = 128 * 1024;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

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
    /// Connects.
    pub(super) async fn open(
        host: String,
        port: u16,
        tls: Option<Arc<ClientConfig>>,
    ) -> Result<Self, Trouble> {
        let tcp = TcpStream::connect((host.as_str(), port)).await.map_err(Trouble::Io)?;
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
