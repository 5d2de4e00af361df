//! A token that somebody else keeps in a file.

use std::{
    fmt,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use zeroize::Zeroizing;

use crate::{
    error::{Error, ErrorKind, Retry},
    events,
    jwt_expiry::jwt_expiry,
    source::{AccessToken, FetchContext, TokenSource},
    sync::{Mutex, lock},
    watched_file::WatchedFile,
};

/// A token in a file that somebody else keeps fresh: a projected token of Kubernetes, a token of Vault's agent, the
/// assertion of a workload identity.
///
/// The content of the file is the token; blanks and line ends around it do not matter. If it is a JWT, its `exp` says
/// how long it is used (read, not verified), and the file is read again before that; otherwise the file is read again
/// [every minute](Self::reread_every).
///
/// A file that is missing, empty or half written changes nothing while the token that was read last is good. A token
/// that has expired is never given out, and an error says so; the file that brings a new one is noticed within a second,
/// cool-down or not.
///
/// ```
/// use bearer_token::{FileToken, TokenProvider};
///
/// # fn main() -> Result<(), bearer_token::Error> {
/// let source = FileToken::new("/var/run/secrets/tokens/orders");
/// let provider = TokenProvider::builder(source).allow_origin("https://api.example.com").build()?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct FileToken {
    held: Arc<Held>,
    reread: Duration,
}

struct Held {
    file: WatchedFile,
    /// The last token that could be used.
    last: Mutex<Option<Content>>,
}

#[derive(Clone)]
struct Content {
    token: Zeroizing<String>,
    /// Of a JWT that has one.
    expires: Option<SystemTime>,
}

impl FileToken {
    /// Uses the token in this file, which need not be there yet.
    pub fn new(path: impl AsRef<Path>) -> Self {
        let held = Held { file: WatchedFile::new(path.as_ref()), last: Mutex::new(None) };
        FileToken { held: Arc::new(held), reread: Duration::from_secs(60) }
    }

    /// How long a token that does not say when it expires is used before the file is read again. Default: 1 min.
    #[must_use]
    pub fn reread_every(mut self, period: Duration) -> Self {
        self.reread = period;
        self
    }
}

impl TokenSource for FileToken {
    async fn fetch(&self, cx: FetchContext) -> Result<AccessToken, Error> {
        let (held, now) = (self.held.clone(), cx.platform().now().wall());
        let Content { token, expires } = cx.platform().run_blocking(move || held.read(now)).await??;
        let token = AccessToken::new(token.as_str()).issued(cx.started());
        Ok(match expires {
            Some(time) => token.expires_at(time),
            None => token.expires_in(self.reread),
        })
    }

    fn changed(&self) -> bool {
        self.held.file.changed()
    }
}

impl fmt::Debug for FileToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileToken").field("path", &self.held.file.path()).field("reread", &self.reread).finish()
    }
}

impl Held {
    /// The token to use now. Blocks.
    fn read(&self, now: SystemTime) -> Result<Content, Error> {
        let path = self.file.path().display();
        let found = self.file.read().and_then(|text| {
            Content::of(&text).map_err(|problem| format!("the file `{path}` holds no token: {problem}"))
        });
        let mut last = lock(&self.last);
        last.take_if(|last| last.has_expired(now));
        let problem = match found {
            Err(problem) => Error::new(ErrorKind::Source, problem),
            Ok(content) if content.has_expired(now) => {
                let message = format!(
                    "the token in the file `{path}` has expired, and the file has not been replaced; expected whoever \
                     keeps it to write a new one in time"
                );
                Error::new(ErrorKind::Token, message)
            }
            // The beginning of a JWT is no JWT. Nobody changes over to other tokens while the last one is good.
            Ok(content) if content.expires.is_none() && last.as_ref().is_some_and(|last| last.expires.is_some()) => {
                let message = format!("the file `{path}` held a JWT, and holds something else: is it half written?");
                Error::new(ErrorKind::Source, message)
            }
            Ok(content) => return Ok(last.insert(content).clone()),
        };
        match &*last {
            Some(last) => {
                events::kept(self.file.path(), &problem.to_string());
                Ok(last.clone())
            }
            None => Err(problem.with_retry(Retry::AfterChange)),
        }
    }
}

impl Content {
    fn of(text: &[u8]) -> Result<Self, &'static str> {
        let text = str::from_utf8(text).map_err(|_| "it is not UTF-8")?.trim();
        if text.is_empty() {
            return Err("it is empty");
        }
        if text.starts_with(['{', '[']) || text.starts_with("-----BEGIN ") {
            return Err("found JSON or PEM; expected the token itself");
        }
        if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err("found several words or lines; expected one token");
        }
        Ok(Content { token: Zeroizing::new(text.to_owned()), expires: jwt_expiry(text) })
    }

    fn has_expired(&self, now: SystemTime) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}
