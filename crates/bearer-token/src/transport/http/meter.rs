//! A connection that is read in measured portions.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use hyper_util::client::legacy::connect::{Connected, Connection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::stream::Stream;
use crate::transport::{RESPONSE_LIMIT, cause::TooMuch};

/// The most that is read for one request, in bytes, including the overhead of HTTP.
///
/// Twice the limit of a body leaves room for headers and chunk sizes, which are not counted by the body's own limit.
const READ_LIMIT: usize = 2 * RESPONSE_LIMIT;

/// The number of bytes after which other tasks of the runtime run.
const PORTION: usize = 64 * 1024;

/// A connection to a server that may send without end.
///
/// hyper skips interim responses (1xx) in a loop while more of them can be read, and no deadline is checked in between.
/// So reads pause after each portion, and fail beyond a limit.
pub(super) struct Metered {
    stream: Stream,
    /// Bytes that were read since the last write: those of the current response.
    /// A write begins the next request, so the count starts again there.
    read: usize,
    /// Bytes that were read since the last pause.
    portion: usize,
}

impl Metered {
    pub(super) fn new(stream: Stream) -> Self {
        Metered { stream, read: 0, portion: 0 }
    }
}

impl AsyncRead for Metered {
    /// A pause is a wake-up of its own: the runtime polls other tasks first, and with them the deadline of the fetch.
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.read > READ_LIMIT {
            return Poll::Ready(Err(io::Error::other(TooMuch)));
        }
        if self.portion >= PORTION {
            self.portion = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        let read = buffer.filled().len() - before;
        self.read += read;
        self.portion += read;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Metered {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.read = 0;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.read = 0;
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

impl Connection for Metered {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}
