//! The secret of a client: a text, or a file that is read again.

use std::{fmt, path::Path, sync::Arc};

use zeroize::Zeroizing;

use crate::{
    error::{Error, ErrorKind, Retry},
    files::watched::{WatchedFile, without_line_end},
    observe,
    platform::Platform,
    secret::Secret,
    sync::{Mutex, lock},
};

/// The secret of a client, for [`ClientAuth::basic`](super::ClientAuth::basic) and its like: a text, or
/// [a file](Self::from_file). `Debug` never shows it.
///
/// ```
/// use bearer_token::oauth::{ClientAuth, ClientSecret};
///
/// let auth = ClientAuth::basic("reports", "a secret as it is");
/// let auth = ClientAuth::basic("reports", ClientSecret::from_file("/run/secrets/reports"));
/// # let _ = auth;
/// ```
#[derive(Clone)]
pub struct ClientSecret(Held);

#[derive(Clone)]
enum Held {
    Text(Secret),
    File(Arc<SecretFile>),
}

impl ClientSecret {
    /// The secret in this file, which is read when the token endpoint is built, and again before each token request: one
    /// that was replaced is sent from the next request on. A line end at the end of the file is not part of it.
    ///
    /// The secret that was read last stays in use while the file is missing, empty, or no text of one line. Replace the
    /// file as a whole (write beside it, then rename), as Kubernetes and Vault's agent do: half a secret looks like a
    /// shorter one. What is no regular file, a pipe say, is read only once.
    pub fn from_file(path: impl AsRef<Path>) -> Self {
        Self::decoded(path, Some)
    }

    /// The same for a file whose content is written in another way.
    pub(crate) fn decoded(
        path: impl AsRef<Path>,
        decode: impl Fn(Zeroizing<Vec<u8>>) -> Option<Zeroizing<Vec<u8>>> + Send + Sync + 'static,
    ) -> Self {
        let file = WatchedFile::new(path.as_ref());
        ClientSecret(Held::File(Arc::new(SecretFile { file, decode: Box::new(decode), last: Mutex::default() })))
    }

    /// The secret as it is at first, or what is wrong with it. Blocks.
    pub(crate) fn read(&self) -> Result<Secret, String> {
        match &self.0 {
            Held::Text(secret) => match problem(secret.expose()) {
                Some(problem) => Err(problem.to_owned()),
                None => Ok(secret.clone()),
            },
            Held::File(file) => file.read(),
        }
    }

    /// What has to be asked for each request, if it is not always the same.
    pub(crate) fn file(&self) -> Option<&Arc<SecretFile>> {
        match &self.0 {
            Held::Text(_) => None,
            Held::File(file) => Some(file),
        }
    }
}

impl<T: Into<String>> From<T> for ClientSecret {
    fn from(text: T) -> Self {
        ClientSecret(Held::Text(Secret::new(text)))
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Held::Text(_) => f.write_str("ClientSecret([redacted])"),
            Held::File(file) => f.debug_struct("ClientSecret").field("file", &file.file.path()).finish(),
        }
    }
}

/// From the content of the file to the bytes of the secret, if it is written so.
type Decode = Box<dyn Fn(Zeroizing<Vec<u8>>) -> Option<Zeroizing<Vec<u8>>> + Send + Sync>;

/// A file, and the last secret in it that could be used.
pub(crate) struct SecretFile {
    file: WatchedFile,
    decode: Decode,
    last: Mutex<Last>,
}

#[derive(Clone, Default)]
struct Last {
    secret: Option<Secret>,
    /// It came through what cannot be read a second time, such as a pipe.
    once: bool,
}

impl SecretFile {
    /// The secret as it is now.
    pub(crate) async fn now(self: &Arc<Self>, platform: &Platform) -> Result<Secret, Error> {
        let file = Arc::clone(self);
        let read = platform.run_blocking(move || file.read()).await?;
        read.map_err(|problem| Error::new(ErrorKind::Source, problem).with_retry(Retry::AfterChange))
    }

    /// Whether the file was written since it was read last.
    pub(crate) fn has_changed(&self) -> bool {
        self.file.has_changed()
    }

    fn read(&self) -> Result<Secret, String> {
        let Last { secret: last, once } = lock(&self.last).clone();
        let found = match &last {
            Some(last) if once => return Ok(last.clone()),
            Some(_) => self.file.read().map(|bytes| (bytes, true)),
            None => self.file.read_first(),
        };
        match (found.and_then(|(bytes, again)| Ok((self.secret(bytes)?, again))), last) {
            (Ok((secret, again)), _) => {
                *lock(&self.last) = Last { secret: Some(secret.clone()), once: !again };
                Ok(secret)
            }
            (Err(problem), Some(last)) => {
                observe::kept(self.file.path(), &problem);
                Ok(last)
            }
            (Err(problem), None) => Err(problem),
        }
    }

    fn secret(&self, content: Zeroizing<Vec<u8>>) -> Result<Secret, String> {
        let path = self.file.path().display();
        let bytes = without_line_end(content);
        let bytes = (self.decode)(bytes).ok_or_else(|| format!("the file `{path}` is not encoded as was said"))?;
        let text = str::from_utf8(&bytes).map_err(|_| format!("the file `{path}` is not UTF-8"))?;
        match problem(text) {
            Some(problem) => Err(format!("the file `{path}` holds no client secret: {problem}")),
            None => Ok(Secret::new(text)),
        }
    }
}

/// What is wrong with an id or a secret.
pub(crate) fn problem(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        Some("found an empty text; expected what is registered at the authorization server")
    } else if text.chars().any(char::is_control) {
        // RFC 6749 appendix A.1 and A.2 allow none, and a file's last line end is a common mistake.
        Some("found a line end or another control character; remove it (a file's last line end?)")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn l24_a_secret_in_a_file_is_read_again_and_what_is_none_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        let secret = ClientSecret::from_file(&path);
        let read = || secret.read().map(|secret| secret.expose().to_owned());
        let file = secret.file().unwrap();
        assert!(read().unwrap_err().contains("secret` cannot be read"));
        for (content, problem) in [("", "an empty text"), ("\n", "an empty text"), ("two\nlines\n", "a line end")] {
            fs::write(&path, content).unwrap();
            assert!(read().unwrap_err().contains(problem), "{content:?}");
        }

        fs::write(&path, "first\r\n").unwrap();
        assert!(file.has_changed());
        assert_eq!(read().unwrap(), "first");
        assert!(!file.has_changed());
        for content in [b"".as_slice(), b"\n", b"two\nlines", b"\xff", &[b'x'; (1 << 20) + 1]] {
            fs::write(&path, content).unwrap();
            assert_eq!(read().unwrap(), "first", "after {} bytes", content.len());
            assert!(!file.has_changed(), "it was looked at");
        }
        fs::remove_file(&path).unwrap();
        assert_eq!(read().unwrap(), "first");
        fs::write(&path, "second\n").unwrap();
        assert!(file.has_changed());
        assert_eq!(read().unwrap(), "second");
        assert_eq!(secret.clone().read().unwrap().expose(), "second");
    }

    #[cfg(unix)]
    #[test]
    #[allow(clippy::disallowed_methods, reason = "a pipe needs two ends")]
    fn what_is_no_regular_file_is_read_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let secret = ClientSecret::from_file(&path);
        let sender = std::thread::spawn(move || fs::write(&path, "piped").unwrap());
        assert_eq!(secret.read().unwrap().expose(), "piped");
        sender.join().unwrap();
        let (done, ended) = std::sync::mpsc::channel();
        std::thread::spawn(move || done.send(secret.read().unwrap().expose().to_owned()));
        // A second reading would wait for ever for somebody to write.
        assert_eq!(ended.recv_timeout(std::time::Duration::from_secs(10)).unwrap(), "piped");
    }

    #[cfg(unix)]
    #[test]
    #[allow(clippy::disallowed_methods, reason = "what fails would hang")]
    fn l24_a_pipe_in_the_place_of_the_file_keeps_the_secret_and_holds_nobody() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        fs::write(&path, "first").unwrap();
        let secret = ClientSecret::from_file(&path);
        assert_eq!(secret.read().unwrap().expose(), "first");
        fs::remove_file(&path).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let (done, ended) = std::sync::mpsc::channel();
        let reading = secret.clone();
        std::thread::spawn(move || done.send(reading.read().unwrap().expose().to_owned()));
        assert_eq!(ended.recv_timeout(std::time::Duration::from_secs(10)).unwrap(), "first");
        fs::remove_file(&path).unwrap();
        fs::write(&path, "second").unwrap();
        assert_eq!(secret.read().unwrap().expose(), "second", "a file again");
    }

    #[test]
    fn l38_debug_shows_the_file_and_no_secret() {
        let shown = format!("{:?} {:?}", ClientSecret::from("planted"), ClientSecret::from_file("/run/secret"));
        assert!(shown.contains("/run/secret") && !shown.contains("planted"), "{shown}");
    }
}
