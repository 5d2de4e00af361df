//! Connections by rustls.

use bearer_token::Error;
use rustls::{ClientConfig, RootCertStore, crypto::CryptoProvider};
use tokio_postgres::Config;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::{PostgresStore, store::unusable};

/// A store with the system's CAs and the cryptography that the process has installed.
pub(crate) fn store(config: Config) -> Result<PostgresStore, Error> {
    let provider = CryptoProvider::get_default().ok_or_else(|| {
        unusable(
            "no rustls `CryptoProvider` is installed, so connections to PostgreSQL cannot use TLS: install one at the \
             start of the program, for example with `rustls::crypto::aws_lc_rs::default_provider().install_default()`",
        )
    })?;
    let mut roots = RootCertStore::empty();
    // Some of the system's certificates may be unusable.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(unusable(
            "the system has no CAs that connections to PostgreSQL could trust; expected `ca-certificates`",
        ));
    }
    let tls = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
    let tls = tls.map_err(|_| unusable("the installed rustls `CryptoProvider` supports neither TLS 1.2 nor 1.3"))?;
    let tls = tls.with_root_certificates(roots).with_no_client_auth();
    Ok(PostgresStore::new(config, MakeRustlsConnect::new(tls)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_without_cryptography_is_refused_before_it_is_used() {
        // No test of this crate installs one.
        let url = "postgres://user:MARKER@localhost/tokens?sslmode=require";
        let error = PostgresStore::from_url(url).unwrap_err().to_string();
        assert!(error.contains("install_default") && !error.contains("MARKER"), "{error}");
        PostgresStore::from_url("postgres://user@localhost/tokens").unwrap();
    }
}
