//! PEM that a user gave: the text itself, or where it is.

use std::{fmt, path::Path, sync::Arc};

use zeroize::Zeroizing;

use crate::files::last_good::LastGood;

/// Certificates or a private key in PEM: the text itself, or a file that is read again when it changes.
///
/// ```
/// use bearer_token::transport::{HttpTransport, Pem};
///
/// # fn main() -> Result<(), bearer_token::Error> {
/// # let directory = tempfile::tempdir().unwrap();
/// # let path = directory.path().join("ca.pem");
/// # let ca = rcgen::generate_simple_self_signed(["as.example.com".to_owned()]).unwrap().cert.pem();
/// # std::fs::write(&path, &ca).unwrap();
/// let transport = HttpTransport::builder().only_ca(Pem::file(path)).ca(ca).build()?;
/// # let _ = transport; Ok(()) }
/// ```
///
/// A byte order mark, indentation, and newlines that are written as `\n` do no harm. `Debug` shows the path of a file,
/// and nothing of a text.
#[derive(Clone)]
pub struct Pem(Origin);

#[derive(Clone)]
enum Origin {
    Text(Arc<Zeroizing<Vec<u8>>>),
    File(LastGood<Zeroizing<Vec<u8>>>),
}

impl Pem {
    /// The content of a file. It is read when the transport is built, and again before the next token request after it
    /// changed.
    pub fn file(path: impl AsRef<Path>) -> Self {
        Pem(Origin::File(LastGood::new_or_pipe(path)))
    }

    /// Whether its file was written since it was read last.
    pub(super) fn has_changed(&self) -> bool {
        match &self.0 {
            Origin::Text(_) => false,
            Origin::File(file) => file.has_changed(),
        }
    }

    /// The text as it is now, or a clause that says why there is none. Blocks.
    pub(super) fn read(&self) -> Result<Zeroizing<Vec<u8>>, String> {
        match &self.0 {
            Origin::Text(text) => Ok(Zeroizing::clone(text)),
            Origin::File(file) => file.read(|bytes, _| Ok(bytes)).map_err(|error| error.to_string()),
        }
    }

    /// A clause about the text, with the file that it is from.
    pub(super) fn found(&self, clause: impl fmt::Display) -> String {
        match &self.0 {
            Origin::Text(_) => clause.to_string(),
            Origin::File(file) => format!("{clause} in the file `{}`", file.path().display()),
        }
    }
}

impl From<Vec<u8>> for Pem {
    fn from(text: Vec<u8>) -> Self {
        Pem(Origin::Text(Arc::new(Zeroizing::new(text))))
    }
}

impl From<&[u8]> for Pem {
    fn from(text: &[u8]) -> Self {
        Pem::from(text.to_vec())
    }
}

impl<const N: usize> From<&[u8; N]> for Pem {
    fn from(text: &[u8; N]) -> Self {
        Pem::from(text.to_vec())
    }
}

impl From<String> for Pem {
    fn from(text: String) -> Self {
        Pem::from(text.into_bytes())
    }
}

impl From<&str> for Pem {
    fn from(text: &str) -> Self {
        Pem::from(text.as_bytes())
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Origin::Text(_) => f.write_str("Pem([redacted])"),
            Origin::File(file) => write!(f, "Pem(file {:?})", file.path()),
        }
    }
}
