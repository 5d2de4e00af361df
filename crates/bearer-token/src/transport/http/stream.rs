//! A connection, with or without TLS.
//!
//! Boxed: TCP, TLS, TLS inside of TLS and a tunnel are one type for hyper. The indirection costs nothing beside a
//! system call.

use tokio::io::{AsyncRead, AsyncWrite};

/// A stream of bytes, with or without TLS.
pub(super) type Stream = Box<dyn Duplex>;

pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}
