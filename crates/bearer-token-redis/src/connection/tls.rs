//! What connections by TLS need.

use bearer_token::{Error, ErrorKind, Retry};
use redis::{ConnectionAddr, ConnectionInfo};
use rustls::crypto::CryptoProvider;

/// Refuses TLS in a process without cryptography, where the client would panic.
pub(super) fn check(info: &ConnectionInfo) -> Result<(), Error> {
    if !matches!(info.addr(), ConnectionAddr::TcpTls { .. }) || CryptoProvider::get_default().is_some() {
        return Ok(());
    }
    let message = "no rustls `CryptoProvider` is installed, so connections to Redis cannot use TLS: install one at the \
                   start of the program, for example with \
                   `rustls::crypto::aws_lc_rs::default_provider().install_default()`";
    Err(Error::new(ErrorKind::Config, message).with_retry(Retry::AfterChange))
}

#[cfg(test)]
mod tests {
    use super::super::Connection;

    #[test]
    fn tls_without_cryptography_is_refused_before_it_is_used() {
        // No test of this crate installs one.
        let error = Connection::to_server("rediss://:MARKER@localhost").unwrap_err().to_string();
        assert!(error.contains("install_default") && !error.contains("MARKER"), "{error}");
        Connection::to_server("redis://localhost").unwrap();
    }

    #[cfg(feature = "sentinel")]
    #[test]
    fn sentinels_by_tls_are_refused_like_servers() {
        let urls = ["redis://localhost", "rediss://:MARKER@localhost"];
        let error = Connection::to_sentinels(urls, "tokens", None).unwrap_err().to_string();
        assert!(error.contains("install_default") && !error.contains("MARKER"), "{error}");
        Connection::to_sentinels(&urls[..1], "tokens", None).unwrap();
    }
}
