//! The certificates and the key of a transport, which are read again when their files change.
//!
//! Certificates of workloads live for hours, and their files are rewritten while the process runs. A look at their
//! timestamps before each request shows whether one has changed. Then all are read together: a certificate without its
//! new key is a problem, and the previous pair stays in use.

use std::{fmt, sync::Arc};

use tokio::runtime::Handle;
use zeroize::Zeroizing;

use super::{TlsMaterial, certificates};
use crate::{
    error::{Error, ErrorKind},
    observe::{self, EventKind},
    problem::{Advice, Problem, Problems},
    source::Identity,
    sync::{Mutex, lock},
    value::Value,
};

/// The places of the certificates and the key.
#[derive(Debug, Default)]
pub(in super::super) struct TlsInput {
    /// Each with the name of the setting.
    pub(in super::super) cas: Vec<(&'static str, Value)>,
    /// Whether the system's CAs are left out.
    pub(in super::super) only_these_cas: bool,
    pub(in super::super) certificate: Option<Value>,
    pub(in super::super) key: Option<Value>,
}

impl TlsInput {
    /// Reads everything. Blocks.
    fn read(&self) -> Result<TlsMaterial, Problems> {
        let mut problems = Problems::default();
        let mut material = TlsMaterial { only_these_cas: self.only_these_cas, ..TlsMaterial::default() };
        for (path, pem) in &self.cas {
            match certificates::cas(path, pem) {
                Ok(cas) => material.cas.extend(cas),
                Err(problem) => problems.add(problem),
            }
        }
        match (&self.certificate, &self.key) {
            (Some(certificate), key) => match certificates::identity(certificate, key.as_ref()) {
                Ok(identity) => material.identity = Some(identity),
                Err(problem) => problems.add(problem),
            },
            (None, Some(_)) => problems.add(
                Problem::new("key", "is set without the client's certificate")
                    .advise(Advice::set("certificate"))
                    .advise(Advice::remove("key")),
            ),
            (None, None) => (),
        }
        if problems.is_empty() { Ok(material) } else { Err(problems) }
    }

    fn has_changed(&self) -> bool {
        let cas = self.cas.iter().map(|(_, pem)| pem);
        cas.chain(&self.certificate).chain(&self.key).any(Value::has_changed)
    }
}

/// What was read last and is usable.
///
/// Two locks: one for reading, which may take long, and one for the result, which is held for a copy.
#[derive(Default)]
pub(in super::super) struct TlsFiles {
    input: TlsInput,
    /// Held while the files are read.
    reading: Mutex<()>,
    in_use: Mutex<Arc<TlsMaterial>>,
}

impl TlsFiles {
    /// Describes the client's certificate. A new one may be another client, for all that is known here.
    pub(in super::super) fn identity(self: &Arc<Self>, identity: &mut Identity) {
        if self.input.certificate.is_none() {
            return;
        }
        let this = Arc::clone(self);
        identity.looked_up("client certificate", move |_| {
            let this = Arc::clone(&this);
            Box::pin(async move {
                let runtime = Handle::try_current().map_err(|_| shut_down())?;
                let material = this.current(&runtime).await?;
                let leaf = material.identity.as_ref().and_then(|identity| identity.chain.first());
                Ok(Zeroizing::new(leaf.map(|leaf| leaf.to_vec()).unwrap_or_default()))
            })
        });
    }

    /// Reads everything for the first time. Blocks.
    pub(in super::super) fn new(input: TlsInput) -> Result<Self, Problems> {
        let material = input.read()?;
        Ok(TlsFiles { input, reading: Mutex::new(()), in_use: Mutex::new(Arc::new(material)) })
    }

    /// What is in the files now. While they are missing, half written or do not belong together, what was in them
    /// before stays in use.
    ///
    /// The same material is the same `Arc`.
    pub(in super::super) async fn current(self: &Arc<Self>, runtime: &Handle) -> Result<Arc<TlsMaterial>, Error> {
        // While another request reads, its files look unchanged already.
        if self.input.has_changed() || self.reading.try_lock().is_err() {
            let this = Arc::clone(self);
            runtime.spawn_blocking(move || this.read_again()).await.map_err(|_| shut_down())?;
        }
        Ok(Arc::clone(&lock(&self.in_use)))
    }

    /// Reads the files again, if they have changed. Runs on a blocking thread. Requests that arrive meanwhile wait for
    /// it, and use the new certificates.
    fn read_again(&self) -> Reading {
        let _reading = lock(&self.reading);
        if !self.input.has_changed() {
            // Another request was here first.
            return Reading::Same;
        }
        match self.input.read() {
            Ok(material) => {
                let mut in_use = lock(&self.in_use);
                if **in_use == material {
                    return Reading::Same;
                }
                *in_use = Arc::new(material);
                drop(in_use);
                observe::tell(EventKind::CertificatesChanged {});
                Reading::Changed
            }
            Err(problems) => {
                let problems = problems.to_string();
                observe::tell(EventKind::CertificatesKept { problems: &problems });
                Reading::Kept(problems)
            }
        }
    }
}

/// What became of changed files.
#[derive(Debug, PartialEq)]
enum Reading {
    /// The content did not change.
    Same,
    Changed,
    /// The files are unusable, for this reason.
    #[allow(dead_code, reason = "the reason is for tests")]
    Kept(String),
}

/// The error of a request whose runtime ended before it was sent.
pub(in super::super) fn shut_down() -> Error {
    Error::new(ErrorKind::Abandoned, "the runtime was shut down before the token request was sent")
}

impl fmt::Debug for TlsFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.input.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use rcgen::{CertifiedKey, generate_simple_self_signed};
    use tempfile::TempDir;

    use super::*;

    struct Rotating {
        directory: TempDir,
        files: TlsFiles,
    }

    impl Rotating {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let path = |name: &str| directory.path().join(name);
            let (one, ca) = (leaf(), leaf());
            fs::write(path("ca.pem"), ca.cert.pem()).unwrap();
            fs::write(path("tls.crt"), one.cert.pem()).unwrap();
            fs::write(path("tls.key"), one.signing_key.serialize_pem()).unwrap();
            let files = TlsFiles::new(TlsInput {
                cas: vec![("only_ca", Value::file(path("ca.pem")))],
                only_these_cas: true,
                certificate: Some(Value::file(path("tls.crt"))),
                key: Some(Value::file(path("tls.key"))),
            });
            Rotating { files: files.unwrap(), directory }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.directory.path().join(name)
        }

        fn write(&self, name: &str, content: impl AsRef<[u8]>) {
            fs::write(self.path(name), content).unwrap();
        }

        fn in_use(&self) -> Arc<TlsMaterial> {
            lock(&self.files.in_use).clone()
        }

        #[track_caller]
        fn assert_kept(&self, found: &str) {
            let before = self.in_use();
            let Reading::Kept(problems) = self.files.read_again() else { panic!("it was used") };
            assert!(problems.contains(found), "{problems}");
            assert!(Arc::ptr_eq(&before, &self.in_use()));
            assert_eq!(self.files.read_again(), Reading::Same, "each change is reported once");
        }
    }

    fn leaf() -> CertifiedKey<rcgen::KeyPair> {
        generate_simple_self_signed(["client.example.com".to_owned()]).unwrap()
    }

    #[test]
    fn unusable_files_change_nothing_and_are_reported_once() {
        let rotating = Rotating::new();
        assert_eq!(rotating.files.read_again(), Reading::Same);
        let ca = leaf().cert.pem();
        rotating.write("ca.pem", &ca[..ca.len() / 2]);
        rotating.assert_kept("ca.pem`: found a PEM without its `-----END ..-----` line");
        rotating.write("ca.pem", ca);
        assert_eq!(rotating.files.read_again(), Reading::Changed);
        rotating.write("tls.key", "-----BEGIN OPENSSH PRIVATE KEY-----\ncGxh\n-----END OPENSSH PRIVATE KEY-----\n");
        rotating.assert_kept("tls.key`: found a key of OpenSSH, which TLS cannot use");
    }

    #[test]
    fn a_certificate_waits_for_its_key() {
        let rotating = Rotating::new();
        let next = leaf();
        rotating.write("tls.crt", next.cert.pem());
        rotating.assert_kept("tls.key`: found a private key that does not belong to the first certificate");
        rotating.write("tls.key", next.signing_key.serialize_pem());
        assert_eq!(rotating.files.read_again(), Reading::Changed);
    }

    #[test]
    fn a_file_that_is_missing_empty_or_rewritten_changes_nothing() {
        let rotating = Rotating::new();
        let before = rotating.in_use();
        let content = fs::read(rotating.path("ca.pem")).unwrap();
        let unchanged = || {
            assert!(rotating.files.input.has_changed());
            assert_eq!(rotating.files.read_again(), Reading::Same);
            assert!(!rotating.files.input.has_changed());
        };
        fs::remove_file(rotating.path("ca.pem")).unwrap();
        unchanged();
        rotating.write("tls.key", "");
        unchanged();
        rotating.write("ca.pem", [&content[..], b"\n# a comment\n"].concat());
        unchanged();
        assert!(Arc::ptr_eq(&before, &rotating.in_use()), "connections stay open");
    }
}
