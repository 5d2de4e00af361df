//! A connection, with or without TLS.

use tokio::io::{AsyncRead, AsyncWrite};

/// A stream of bytes, with or without TLS.
pub(super) type Stream = Box<dyn Duplex>;

pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}
