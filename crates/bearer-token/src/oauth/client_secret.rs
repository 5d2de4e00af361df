//! The secret of a client: a literal, or one that is looked up again for each request.
//!
//! The commonest mistakes with client secrets are found here, before a server responds with `invalid_client`. Examples
//! are the name of the file instead of its content, a newline from an editor, quotes from a shell script, and an empty
//! variable. Each is a problem at `build()` that says which one it is, without a character of the secret.

use std::{fmt, path::Path, sync::Arc};

use zeroize::Zeroizing;

use crate::{
    error::{Error, ErrorKind, Retry},
    files::last_good::LastGood,
    secret::{Secret, string},
    source::{FetchContext, Identity},
    value::Value,
};

/// The secret of a client, for [`ClientAuth::basic`](super::ClientAuth::basic) and similar methods: a string, [a
/// file](Self::from_file), or a [`Value`]. `Debug` never shows it.
///
/// ```
/// use bearer_token::Value;
/// use bearer_token::oauth::{ClientAuth, ClientSecret};
///
/// let auth = ClientAuth::basic("reports", "s3cret");
/// let auth = ClientAuth::basic("reports", ClientSecret::from_file("/run/secrets/reports"));
/// let auth = ClientAuth::basic("reports", Value::file("client.json").member("/client_secret"));
/// # let _ = auth;
/// ```
///
/// One trailing newline and a leading byte order mark are not part of a secret, neither in a string nor in a file.
/// Building the token endpoint fails if the secret is empty or looks like the path of a file. It also fails if there
/// are quotes or spaces around the secret, or a control character in it. If these characters are part of the secret,
/// use [`verbatim`](Self::verbatim).
///
/// A [`Value`] is read again for each token request. Without a step, it is checked like a string. After a step, such as
/// [`member`](Value::member), it is the secret verbatim.
///
/// # What is recognised
///
/// | found | usual cause |
/// |---|---|
/// | nothing | a variable that is not set, a file that was emptied |
/// | what looks like a path | the name of the file in place of its content |
/// | quotes around it | a shell, or a file of variables |
/// | `\n` as two characters | an escaped newline of JSON or YAML |
/// | a space at its end, or a newline inside | a copy from a web page, two secrets in one file |
/// | a control character, UTF-16, or bytes that are not UTF-8 | an editor, or a binary file |
///
/// The problem names which of them it is, and no character of the secret.
#[derive(Clone)]
pub struct ClientSecret(SecretForm);

/// The place of the secret, and how its content is judged. A literal and a verbatim one are checked differently; a file
/// keeps its last good content; a value brings its own rules.
#[derive(Clone)]
enum SecretForm {
    Literal(Secret),
    Verbatim(Secret),
    File(Arc<SecretFile>),
    Value(Value),
}

impl ClientSecret {
    /// A secret that is sent exactly as given, such as one that contains quotes or spaces.
    ///
    /// It must not be empty or contain a control character (RFC 6749 appendix A.2).
    ///
    /// ```
    /// use bearer_token::oauth::{ClientAuth, ClientCredentials, ClientSecret, TokenEndpoint};
    ///
    /// # fn main() -> Result<(), bearer_token::Error> {
    /// # #[cfg(feature = "http-transport")] {
    /// let endpoint = |secret: ClientSecret| {
    ///     TokenEndpoint::builder("https://as.example.com/token", ClientCredentials::new())
    ///         .client_auth(ClientAuth::post("reports", secret))
    ///         .build()
    /// };
    /// // Quotes are nearly always left over from a shell or a file of variables.
    /// assert!(endpoint("\"s3cret\"".into()).is_err());
    /// // This server did generate a secret with quotes.
    /// assert!(endpoint(ClientSecret::verbatim("\"s3cret\"")).is_ok());
    /// # }
    /// # Ok(()) }
    /// ```
    pub fn verbatim(secret: impl Into<String>) -> Self {
        ClientSecret(SecretForm::Verbatim(Secret::new(secret)))
    }

    /// The secret in this file. It is read when the token endpoint is built, and again before each token request. So a
    /// replaced secret is sent from the next request on.
    ///
    /// The secret that was read last stays in use while the file is missing or unusable. Replace the file as a whole
    /// (write beside it, then rename), as Kubernetes and Vault's agent do. Otherwise a half-written secret could be
    /// read as a shorter one. A pipe is read only once.
    ///
    /// The file may be a pipe, as `<(..)` of a shell makes one. It is read away from the runtime's worker threads.
    /// After a refusal, a file that has changed ends the cool-down within a second.
    pub fn from_file(path: impl AsRef<Path>) -> Self {
        Self::file_with(path.as_ref(), None)
    }

    /// The secret in a file whose content is encoded, as base64 for example. The decoded bytes are the secret,
    /// verbatim.
    ///
    /// `decode` returns `None` if the content has another encoding.
    ///
    /// ```
    /// use bearer_token::{Encoding, oauth::ClientSecret};
    ///
    /// // Kubernetes shows the data of a secret in Base64, and a copy of that ended up in the file.
    /// let decode = |bytes: &[u8]| Encoding::Base64.decode(bytes);
    /// let secret = ClientSecret::from_encoded_file("/run/secrets/reports.b64", decode);
    /// # let _ = secret;
    /// ```
    pub fn from_encoded_file(
        path: impl AsRef<Path>,
        decode: impl Fn(&[u8]) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        Self::file_with(path.as_ref(), Some(Box::new(decode)))
    }

    fn file_with(path: &Path, decode: Option<Decode>) -> Self {
        ClientSecret(SecretForm::File(Arc::new(SecretFile { content: LastGood::new_or_pipe(path), decode })))
    }

    /// The secret as it is now, or what is wrong with it. For the token of a provider, which has to be awaited, it is
    /// empty. Blocks.
    ///
    /// Called once at `build()`, where blocking is expected. The result of a looked-up secret is only a check, and is
    /// not kept.
    pub(crate) fn read(&self) -> Result<Secret, String> {
        let read = match &self.0 {
            SecretForm::Literal(secret) => string::read(secret.expose().as_bytes()),
            SecretForm::Verbatim(secret) => string::read_verbatim(secret.expose().as_bytes()),
            SecretForm::File(file) => return file.read().map_err(|error| error.to_string()),
            SecretForm::Value(value) => {
                let secret = value.secret_now()?;
                return Ok(Secret::new(secret.as_ref().map_or("", |secret| secret.as_str())));
            }
        };
        read.map(Secret::new).map_err(|problem| problem.to_string())
    }

    /// Adds it as the credential.
    pub(crate) fn identity(&self, identity: &mut Identity) {
        let secret = self.clone();
        identity.credential(move |cx| {
            let secret = secret.clone();
            Box::pin(async move { Ok(Zeroizing::new(secret.for_request(&cx).await?.expose().as_bytes().to_vec())) })
        });
    }

    /// Whether it is to be read again before each request.
    pub(crate) fn is_looked_up(&self) -> bool {
        matches!(self.0, SecretForm::File(_) | SecretForm::Value(_))
    }

    /// The secret for one request. Files are read away from the tasks of the runtime.
    pub(crate) async fn for_request(&self, cx: &FetchContext) -> Result<Secret, Error> {
        match &self.0 {
            SecretForm::Literal(secret) | SecretForm::Verbatim(secret) => Ok(secret.clone()),
            SecretForm::File(file) => {
                let file = Arc::clone(file);
                cx.platform().run_blocking(move || file.read()).await?
            }
            SecretForm::Value(value) => Ok(Secret::new(value.read_secret(cx).await?.as_str())),
        }
    }

    /// Whether its file was written since it was read last, or the other provider's source has changed.
    pub(crate) fn has_changed(&self) -> bool {
        match &self.0 {
            SecretForm::Literal(_) | SecretForm::Verbatim(_) => false,
            SecretForm::File(file) => file.content.has_changed(),
            SecretForm::Value(value) => value.has_changed(),
        }
    }
}

impl<T: Into<String>> From<T> for ClientSecret {
    fn from(secret: T) -> Self {
        ClientSecret(SecretForm::Literal(Secret::new(secret)))
    }
}

impl From<Value> for ClientSecret {
    fn from(value: Value) -> Self {
        ClientSecret(SecretForm::Value(value))
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            SecretForm::Literal(_) | SecretForm::Verbatim(_) => f.write_str("ClientSecret([redacted])"),
            SecretForm::File(file) => f.debug_struct("ClientSecret").field("file", &file.content.path()).finish(),
            SecretForm::Value(value) => f.debug_tuple("ClientSecret").field(value).finish(),
        }
    }
}

/// Decodes the content of the file. `None` if it has another encoding.
type Decode = Box<dyn Fn(&[u8]) -> Option<Vec<u8>> + Send + Sync>;

/// A file with a client secret.
///
/// The decoder is user code. It runs under the file's own turn, so it is never called twice at a time for one secret.
struct SecretFile {
    content: LastGood<Secret>,
    decode: Option<Decode>,
}

impl SecretFile {
    fn read(&self) -> Result<Secret, Error> {
        self.content.read(|bytes, _| {
            self.parse(&bytes).map_err(|problem| {
                let path = self.content.path().display();
                let message = format!("the file `{path}` does not contain a client secret: {problem}");
                Error::new(ErrorKind::Source, message).with_retry(Retry::AfterChange)
            })
        })
    }

    /// Reads the secret from the content of the file. Without a decoder the usual mistakes are looked for. A decoded
    /// secret is verbatim: it was encoded on purpose, so each byte counts.
    fn parse(&self, bytes: &[u8]) -> Result<Secret, &'static str> {
        let read = match &self.decode {
            None => string::read(bytes).map(Secret::new),
            Some(decode) => {
                let decoded = decode(string::trim(bytes)).map(Zeroizing::new).ok_or("it is not encoded as declared")?;
                string::read_verbatim(&decoded).map(Secret::new)
            }
        };
        read.map_err(string::StringProblem::message)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn l24_only_another_secret_replaces_the_last_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        let secret = ClientSecret::from_file(&path);
        let read = || secret.read().map(|secret| secret.expose().to_owned());
        assert!(read().unwrap_err().contains("secret` cannot be read"));
        for (content, problem) in
            [("", "an empty string"), ("\n", "an empty string"), ("two\nlines\n", "a newline inside")]
        {
            fs::write(&path, content).unwrap();
            assert!(read().unwrap_err().contains(problem), "{content:?}");
        }

        fs::write(&path, "first\r\n").unwrap();
        assert!(secret.has_changed());
        assert_eq!(read().unwrap(), "first");
        assert!(!secret.has_changed());
        for content in [b"".as_slice(), b"\n", b"two\nlines", b"\xff", &[b'x'; (1 << 20) + 1]] {
            fs::write(&path, content).unwrap();
            assert_eq!(read().unwrap(), "first", "after {} bytes", content.len());
            assert!(!secret.has_changed(), "it was looked at");
        }
        fs::remove_file(&path).unwrap();
        assert_eq!(read().unwrap(), "first");
        fs::write(&path, "second\n").unwrap();
        assert!(secret.has_changed());
        assert_eq!(read().unwrap(), "second");
        assert_eq!(secret.clone().read().unwrap().expose(), "second");
    }

    #[cfg(unix)]
    #[test]
    #[allow(clippy::disallowed_methods, reason = "a pipe needs two ends")]
    fn a_pipe_is_read_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let secret = ClientSecret::from_file(&path);
        let sender = std::thread::spawn(move || fs::write(&path, "piped").unwrap());
        assert_eq!(secret.read().unwrap().expose(), "piped");
        sender.join().unwrap();
        let (done, ended) = std::sync::mpsc::channel();
        std::thread::spawn(move || done.send(secret.read().unwrap().expose().to_owned()));
        // A second reading would wait for a writer.
        assert_eq!(ended.recv_timeout(std::time::Duration::from_secs(10)).unwrap(), "piped");
    }

    #[cfg(unix)]
    #[test]
    #[allow(clippy::disallowed_methods, reason = "a failure would hang")]
    fn l24_a_pipe_in_place_of_the_file_blocks_no_reader() {
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
    fn l49_literals_and_files_are_read_alike() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        for (content, expected) in [
            ("s3cret", Ok("s3cret")),
            ("s3cret\n", Ok("s3cret")),
            ("\u{feff}s3cret\r\n", Ok("s3cret")),
            ("s3cret\n\n", Err("a newline")),
            ("s3cret ", Err("a space")),
            ("\"s3cret\"", Err("quotes")),
            ("s3cret\\n", Err("as two characters")),
            ("s3\tcret", Err("a control character")),
            ("/run/secrets/reports", Err("the path of a file")),
            ("", Err("an empty string")),
        ] {
            fs::write(&path, content).unwrap();
            for secret in [content.into(), ClientSecret::from_file(&path), Value::file(&path).into()] {
                match (secret.read(), expected) {
                    (Ok(read), Ok(expected)) => assert_eq!(read.expose(), expected),
                    (Err(problem), Err(expected)) => {
                        // The name of the directory is random, and may have any letters.
                        let problem = problem.replace(&path.display().to_string(), "..");
                        assert!(problem.contains(expected) && !problem.contains("s3"), "{problem}");
                    }
                    (read, _) => panic!("{content:?}: {read:?}"),
                }
            }
        }
    }

    #[test]
    fn l49_a_verbatim_or_decoded_secret_loses_no_byte() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        for secret in ["\"s3cret\"", " s3cret ", "\u{feff}s3cret", "/run/secrets/reports"] {
            assert_eq!(ClientSecret::verbatim(secret).read().unwrap().expose(), secret);
            fs::write(&path, format!("\u{feff}{}\r\n", secret.replace('s', "5"))).unwrap();
            let decode = |bytes: &[u8]| {
                let decoded = bytes.iter().map(|byte| if *byte == b'5' { b's' } else { *byte }).collect::<Vec<_>>();
                Some(decoded)
            };
            assert_eq!(ClientSecret::from_encoded_file(&path, decode).read().unwrap().expose(), secret);
        }
        assert!(ClientSecret::verbatim("s3cret\n").read().unwrap_err().contains("a newline"));
        assert!(ClientSecret::verbatim("").read().unwrap_err().contains("empty"));
        assert!(
            ClientSecret::from_encoded_file(&path, |_| None).read().unwrap_err().contains("not encoded as declared")
        );
    }

    #[test]
    fn l38_debug_shows_the_file_and_no_secret() {
        let shown = format!("{:?} {:?}", ClientSecret::from("planted"), ClientSecret::from_file("/run/secret"));
        let value = format!("{:?}", ClientSecret::from(Value::from("planted").prefix("planted")));
        assert!(!value.contains("planted"), "{value}");
        assert!(shown.contains("/run/secret") && !shown.contains("planted"), "{shown}");
    }
}
