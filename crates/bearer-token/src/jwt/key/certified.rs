//! A key and its certificate, which are replaced one after the other.
//!
//! Entra ID and others identify a client by its certificate, and certificate managers renew both together, as two
//! files. In between, the new key has the old certificate. A JWT that names the wrong certificate is refused by the
//! server with `invalid_client`. So a pair that does not match is not used.

use std::sync::Arc;

use super::{KeyPlace, SigningKey, chain::CertificateChain, diagnose::certificate as diagnose};
use crate::{
    error::{Error, ErrorKind},
    observe::{self, EventKind},
    platform::Platform,
    sync::{Mutex, lock},
    value::Value,
};

/// A key and the place of its certificate. Both are read again before each signature.
///
/// A certificate manager replaces two files, and a JWT may be signed in between. So the last matching pair is kept, and
/// signs until there is a new one (`L56`).
///
/// The certificate is a value like others: in the key's file, in a file of its own, or in a variable.
pub(crate) struct CertifiedKey {
    certificate: Value,
    /// Whether the chain is sent, so the file's other certificates matter.
    is_whole: bool,
    memory: Mutex<LastPair>,
}

/// The last matching pair, and the last problem that was reported. The key is kept in memory, because its file may have
/// changed meanwhile.
struct LastPair {
    /// `None` for a remote key, which cannot be kept.
    last: Option<(SigningKey, Arc<CertificateChain>)>,
    /// The problem that the last event told, so that it is told once.
    reported: Option<String>,
}

impl CertifiedKey {
    /// Reads the certificate for the first time, for a key that was read already. Blocks.
    pub(crate) fn open(
        key: &SigningKey,
        certificate: Value,
        is_whole: bool,
    ) -> Result<(Self, Arc<CertificateChain>), Error> {
        let public_key = key.public_key()?;
        let content = certificate.bytes_now("certificate").map_err(diagnose::error)?;
        let chain = Arc::new(CertificateChain::read(&content, &public_key, is_whole)?);
        let last = key.in_memory_now().map(|key| (key, chain.clone()));
        let certified = CertifiedKey { certificate, is_whole, memory: Mutex::new(LastPair { last, reported: None }) };
        Ok((certified, chain))
    }

    /// The current key and its certificate, or the last matching pair.
    ///
    /// A mismatch is looked at twice before the last pair is used, because reading two files is not atomic.
    pub(crate) async fn now(
        &self,
        key: &SigningKey,
        platform: &Platform,
    ) -> Result<(SigningKey, Arc<CertificateChain>), Error> {
        let mut pair = self.read(key, platform).await;
        if pair.is_err() {
            // Both may be in one file, which may have been replaced between the two readings.
            pair = self.read(key, platform).await;
        }
        let mut memory = lock(&self.memory);
        match (pair, &memory.last) {
            (Ok((key, chain)), _) => {
                memory.last = key.in_memory_now().map(|key| (key, chain.clone()));
                memory.reported = None;
                Ok((key, chain))
            }
            (Err(error), Some(last)) => {
                let (last, problem) = (last.clone(), error.to_string());
                if memory.reported.as_ref() != Some(&problem) {
                    observe::tell(EventKind::KeyPairKept { problem: &problem });
                    memory.reported = Some(problem);
                }
                Ok(last)
            }
            (Err(error), None) if error.kind() == ErrorKind::Config => {
                Err(Error::new(ErrorKind::Signing, error.to_string()).with_source(error))
            }
            (Err(error), None) => Err(error),
        }
    }

    /// The current key and the certificate that belongs to it. An error if they do not match.
    async fn read(&self, key: &SigningKey, platform: &Platform) -> Result<(SigningKey, Arc<CertificateChain>), Error> {
        let key = key.now(platform).await?;
        let content = self.certificate.bytes_on(platform).await?;
        let chain = CertificateChain::read(&content, &key.public_key()?, self.is_whole)?;
        Ok((key, Arc::new(chain)))
    }

    pub(crate) fn has_changed(&self) -> bool {
        self.certificate.has_changed()
    }
}

impl SigningKey {
    /// The key that was read last. It signs even if its file changes now. `None` for a remote key.
    fn in_memory_now(&self) -> Option<SigningKey> {
        let material = match &self.place {
            KeyPlace::Memory(material) => material.clone(),
            KeyPlace::LookedUp(key) => key.last(),
            KeyPlace::Remote(_) => return None,
        };
        Some(SigningKey { algorithm: self.algorithm, place: KeyPlace::Memory(material), key_id: self.key_id.clone() })
    }
}
