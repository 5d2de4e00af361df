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
    files::watched::WatchedFile,
    observe,
    source::{FetchContext, TokenSource},
    sync::{Mutex, lock},
    token::{AccessToken, jwt_times::jwt_expiry},
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

    fn has_changed(&self) -> bool {
        self.held.file.has_changed()
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
                observe::kept(self.file.path(), &problem.to_string());
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

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf, time::UNIX_EPOCH};

    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    use tempfile::TempDir;

    use super::*;
    use crate::{
        provider::TokenProvider,
        test_support::{ManualClock, first_fetch, platform_at},
        token::Expiry,
    };

    fn file() -> (TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        (directory, path)
    }

    fn jwt(subject: &str, exp: u64) -> String {
        let claims = format!("{{\"sub\":\"{subject}\",\"exp\":{exp}}}");
        format!("eyJhbGciOiJSUzI1NiJ9.{}.c2lnbmF0dXJl", BASE64_URL_SAFE_NO_PAD.encode(claims))
    }

    async fn fetch(source: &FileToken, now: u64) -> Result<(String, Expiry), Error> {
        source.fetch(first_fetch(platform_at(now))).await.map(|token| (token.secret().to_owned(), token.expiry()))
    }

    #[tokio::test]
    async fn the_content_is_the_token_and_a_jwt_says_how_long_it_lives() {
        let (_directory, path) = file();
        let source = FileToken::new(&path);
        let long = jwt("a", 2_000);
        for (content, token, expiry) in [
            ("opaque.~+/=", "opaque.~+/=", Expiry::In(Duration::from_secs(60))),
            (" \topaque\r\n\n", "opaque", Expiry::In(Duration::from_secs(60))),
            (&format!("{long}\n"), long.as_str(), Expiry::At(UNIX_EPOCH + Duration::from_secs(2_000))),
        ] {
            fs::write(&path, content).unwrap();
            assert_eq!(fetch(&source, 1_000).await.unwrap(), (token.to_owned(), expiry), "{content:?}");
        }
        fs::write(&path, "opaque").unwrap();
        let often = FileToken::new(&path).reread_every(Duration::from_secs(5));
        assert_eq!(fetch(&often, 1_000).await.unwrap().1, Expiry::In(Duration::from_secs(5)));
    }

    #[tokio::test]
    async fn what_is_no_token_is_an_error_that_names_the_file_and_waits_for_a_change() {
        let (_directory, path) = file();
        let source = FileToken::new(&path);
        let error = fetch(&source, 1_000).await.unwrap_err();
        assert!(error.to_string().contains("token` cannot be read"), "{error}");
        for (content, expected) in [
            (&b""[..], "it is empty"),
            (b" \n", "it is empty"),
            (b"MARKER one\nMARKER two", "several words or lines"),
            (b"{\"access_token\": \"MARKER\"}", "found JSON or PEM"),
            (b"-----BEGIN MARKER-----", "found JSON or PEM"),
            (b"MARKER\xff", "not UTF-8"),
            (b"MARKER\0", "several words"),
        ] {
            fs::write(&path, content).unwrap();
            let error = fetch(&source, 1_000).await.unwrap_err();
            assert!(!error.is_transient());
            assert!(error.to_string().contains("token` holds no token: "), "{error}");
            assert!(error.to_string().contains(expected), "expected {expected:?} in: {error}");
            assert!(!format!("{error} {error:?} {source:?}").contains("MARKER"), "{error:?}");
        }
    }

    #[tokio::test]
    async fn l24_a_half_written_file_keeps_the_token_that_is_good_and_no_longer() {
        let (_directory, path) = file();
        let source = FileToken::new(&path);
        let (first, second) = (jwt("first", 2_000), jwt("second", 3_000));
        fs::write(&path, &first).unwrap();
        assert_eq!(fetch(&source, 1_000).await.unwrap().0, first);
        for content in ["", &second[..30], &second[..second.len() - 15], &jwt("old", 900), "{"] {
            fs::write(&path, content).unwrap();
            assert_eq!(fetch(&source, 1_500).await.unwrap().0, first, "{content:?}");
            assert!(!source.has_changed());
        }
        fs::remove_file(&path).unwrap();
        assert_eq!(fetch(&source, 1_500).await.unwrap().0, first);
        let error = fetch(&source, 2_000).await.unwrap_err();
        assert!(error.to_string().contains("cannot be read"), "{error}");

        fs::write(&path, &second).unwrap();
        assert!(source.has_changed());
        assert_eq!(fetch(&source, 2_000).await.unwrap().0, second);
        // Nothing is left of a JWT that would stand in the way of a token that is none.
        fs::write(&path, "opaque").unwrap();
        assert_eq!(fetch(&source, 2_999).await.unwrap().0, second);
        assert_eq!(fetch(&source, 3_000).await.unwrap().0, "opaque");
        fs::write(&path, "another").unwrap();
        assert_eq!(fetch(&source, 3_000).await.unwrap().0, "another");
    }

    #[tokio::test]
    async fn l08_an_expired_token_that_was_not_replaced_is_an_error_and_its_successor_ends_the_cool_down() {
        let (_directory, path) = file();
        let clock = ManualClock::at(Duration::from_secs(1_000));
        let provider = TokenProvider::builder(FileToken::new(&path)).platform(clock.platform()).build().unwrap();
        fs::write(&path, jwt("first", 2_000)).unwrap();
        assert_eq!(provider.token().await.unwrap().secret(), jwt("first", 2_000));

        clock.advance(Duration::from_secs(1_000));
        let error = provider.token().await.unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Token, false));
        assert!(error.to_string().contains("has expired, and the file has not been replaced"), "{error}");
        // In the cool-down nothing is fetched: this is the very same failure.
        assert!(provider.token().await.unwrap_err().is(&error));

        fs::write(&path, jwt("second", 3_000)).unwrap();
        clock.advance(Duration::from_secs(1));
        assert_eq!(provider.token().await.unwrap().secret(), jwt("second", 3_000));
    }

    #[tokio::test]
    async fn l24_an_opaque_token_that_is_replaced_is_served_within_a_period() {
        let (_directory, path) = file();
        let clock = ManualClock::at(Duration::from_secs(1_000));
        let platform = clock.platform();
        let provider = TokenProvider::builder(FileToken::new(&path)).platform(platform).build().unwrap();
        fs::write(&path, "first").unwrap();
        for _ in 0..5 {
            assert_eq!(provider.token().await.unwrap().secret(), "first");
            clock.advance(Duration::from_secs(60));
        }
        fs::write(&path, "second").unwrap();
        assert_eq!(provider.token().await.unwrap().secret(), "second");
    }
}
