//! TLS: the CAs that are trusted, the client's certificate, the cryptography.
//!
//! The process chooses the cryptography, if it has chosen one; otherwise the feature `rustls-aws-lc-rs` does. It is
//! never chosen twice, because rustls refuses to guess between two that are compiled in, and other code of the process
//! would panic.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer},
    sign::CertifiedKey,
};
use rustls_platform_verifier::Verifier;
use zeroize::Zeroizing;

use crate::{error::Error, platform::preparation::Preparation};

mod certificates;
mod files;

pub(super) use self::files::{TlsFiles, TlsInput, shut_down};

/// Lets the cryptography gather its first randomness, which takes aws-lc 20 to 50 ms: its entropy is the jitter of the
/// CPU. A handshake waits for it, so that no poll takes that long.
///
/// A build of `aws-lc-sys` with `AWS_LC_SYS_NO_JITTER_ENTROPY=1` in its environment takes its entropy from the
/// operating system, at once.
pub(super) static RANDOMNESS: Preparation = Preparation::new(|| {
    if let Some(provider) = provider() {
        // The handshake reports that there is none.
        let _failed = provider.secure_random.fill(&mut [0; 32]);
    }
});

/// The certificates and the key of a transport, at one moment.
///
/// Comparable, so files that were rewritten with the same content do not close connections.
#[derive(Default, PartialEq)]
pub(super) struct TlsMaterial {
    cas: Vec<CertificateDer<'static>>,
    /// Whether the system's CAs are left out.
    only_these_cas: bool,
    identity: Option<Identity>,
}

/// A client certificate with its chain and its private key.
///
/// The key is wiped when the material is replaced.
#[derive(PartialEq)]
struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: Zeroizing<PrivateKeyDer<'static>>,
}

impl TlsMaterial {
    /// The configuration for rustls. Reads the system's CA certificates if they are trusted.
    ///
    /// ALPN offers HTTP/1.1 alone, so a server cannot choose a protocol that the client does not speak.
    pub(super) fn config(&self) -> Result<Arc<ClientConfig>, Error> {
        let provider = provider().ok_or_else(|| {
            Error::config(
                "no rustls `CryptoProvider` is installed, so token requests cannot use TLS: enable the feature \
                 `rustls-aws-lc-rs` of bearer-token, or install one at the start of the program, for example with \
                 `rustls::crypto::ring::default_provider().install_default()`",
                [],
            )
        })?;
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable("the installed rustls `CryptoProvider` supports neither TLS 1.2 nor 1.3", error))?
            .dangerous()
            .with_custom_certificate_verifier(self.verifier(&provider)?);
        let mut config = match &self.identity {
            None => config.with_no_client_auth(),
            Some(Identity { chain, key }) => config
                .with_client_auth_cert(chain.clone(), key.clone_key())
                .map_err(|error| unusable("the client certificate or its key is unusable", error))?,
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// Verifies the certificates of servers. The system's verifier is asked wherever the system's CAs are trusted, so
    /// revocation and enterprise policies apply as for other programs. With `only_ca` it is rustls's own.
    fn verifier(&self, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, Error> {
        if self.only_these_cas {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(self.cas.iter().cloned());
            let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build();
            return Ok(verifier.map_err(|error| unusable("the CA certificates are unusable", error))?);
        }
        let verifier = with_system_cas(self.cas.clone(), Arc::clone(provider)).map_err(|error| {
            unusable(
                "the system's CA certificates could not be read: install them (the package is often called \
                 `ca-certificates`), or point `SSL_CERT_FILE` to a file, or set them with \
                 `HttpTransport::builder().ca(..)`",
                error,
            )
        })?;
        Ok(Arc::new(verifier))
    }
}

/// The error for a configuration that rustls refuses. Its own error is the source: it is about local files and
/// algorithms, and quotes no server.
fn unusable(message: &'static str, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::config(message, []).with_source(error)
}

#[cfg(not(target_os = "android"))]
fn with_system_cas(
    more: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
) -> Result<Verifier, rustls::Error> {
    if more.is_empty() { Verifier::new(provider) } else { Verifier::new_with_extra_roots(more, provider) }
}

/// Android's verifier takes no further CAs.
#[cfg(target_os = "android")]
fn with_system_cas(
    more: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
) -> Result<Verifier, rustls::Error> {
    if more.is_empty() {
        Verifier::new(provider)
    } else {
        Err(rustls::Error::General("Android's own CAs cannot be extended: use `only_ca`".into()))
    }
}

/// The cryptography that the process installed, or the one of the feature `rustls-aws-lc-rs`.
fn provider() -> Option<Arc<CryptoProvider>> {
    CryptoProvider::get_default().cloned().or_else(own_provider)
}

#[cfg(feature = "rustls-aws-lc-rs")]
fn own_provider() -> Option<Arc<CryptoProvider>> {
    Some(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
}

#[cfg(not(feature = "rustls-aws-lc-rs"))]
fn own_provider() -> Option<Arc<CryptoProvider>> {
    None
}

impl Identity {
    /// Checks that the key can be used and matches the certificate. Without a provider of cryptography, it checks
    /// nothing.
    ///
    /// At `build()`, so a key of another certificate is found before the first handshake.
    fn check(&self) -> Result<(), &'static str> {
        let Some(provider) = provider() else { return Ok(()) };
        match CertifiedKey::from_der(self.chain.clone(), self.key.clone_key(), &provider) {
            Ok(_) => Ok(()),
            Err(rustls::Error::InconsistentKeys(_)) => {
                Err("found a private key that does not belong to the first certificate")
            }
            Err(_) => Err("found a certificate or a private key that TLS cannot use"),
        }
    }
}
