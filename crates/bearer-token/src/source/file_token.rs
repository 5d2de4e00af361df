//! A token that another program keeps in a file.
//!
//! Kubernetes, Vault's agent and the identity agents of clouds write a token into a file and replace it before it ends.
//! This source has nothing to request. Its work is to notice the replacement, and to survive the moments in which the
//! file is half written, missing or old:
//!
//! | the file has | the fetch gives |
//! |---|---|
//! | a new token | it, until its `exp` or for a minute |
//! | the same token | the same, so its life in the provider is extended |
//! | nothing, or half a token, and the last one has not expired | the last one |
//! | nothing, or half a token, and there is none | an error that waits for a change of the file |
//! | a token that has expired | an error that names the program that should have replaced it |

use std::{
    borrow::Cow,
    fmt,
    path::Path,
    time::{Duration, SystemTime},
};

use zeroize::Zeroizing;

use crate::{
    error::{Error, ErrorKind, Retry},
    files::last_good::LastGood,
    secret::string,
    source::{FetchContext, TokenSource},
    token::{AccessToken, jwt_times::jwt_expiry},
};

/// A token in a file that another program keeps fresh: a projected token of Kubernetes, a token of Vault's agent, the
/// assertion of a workload identity.
///
/// The content of the file is the token. Spaces, newlines and a byte order mark around it are not part of it. The file
/// is read again [every minute](Self::reread_every) while the token is in use. If the token is a JWT, it is never used
/// beyond its `exp` (which is read, not verified).
///
/// While the file is missing, empty or half written, the token that was read last stays in use until it expires. After
/// that, fetches fail. Then a new token in the file is noticed within a second, even during the cool-down.
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
    content: LastGood<TokenContent>,
    reread: Duration,
}

#[derive(Clone)]
struct TokenContent {
    token: Zeroizing<String>,
    /// The `exp` of a JWT that has one.
    expires: Option<SystemTime>,
}

impl FileToken {
    /// Uses the token in this file. The file may be missing at first.
    pub fn new(path: impl AsRef<Path>) -> Self {
        FileToken { content: LastGood::new(path), reread: Duration::from_secs(60) }
    }

    /// Sets the time after which the file is read again, for a JWT even before its `exp`. Default: 1 min.
    ///
    /// Kubernetes asks clients to read once a minute: a token may be replaced, and become invalid, long before its
    /// `exp`.
    #[must_use]
    pub fn reread_every(mut self, period: Duration) -> Self {
        self.reread = period;
        self
    }
}

impl TokenSource for FileToken {
    async fn fetch(&self, cx: FetchContext) -> Result<AccessToken, Error> {
        let (content, now) = (self.content.clone(), cx.platform().now().wall());
        let TokenContent { token, expires } = cx.platform().run_blocking(move || read(&content, now)).await??;
        let token = AccessToken::new(token.as_str()).issued(cx.started());
        // L48: the file is read again even if its JWT claims to live for a year.
        let next_reading = now.checked_add(self.reread);
        Ok(match expires {
            Some(time) if next_reading.is_none_or(|next| time <= next) => token.expires_at(time),
            _ => token.expires_in(self.reread),
        })
    }

    fn has_changed(&self) -> bool {
        self.content.has_changed()
    }

    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed("token file")
    }
}

impl fmt::Debug for FileToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileToken").field("path", &self.content.path()).field("reread", &self.reread).finish()
    }
}

/// The token to use now: that of the file, or the last one if the file is unusable. Blocks.
fn read(content: &LastGood<TokenContent>, now: SystemTime) -> Result<TokenContent, Error> {
    content.forget_if(|last| last.has_expired(now));
    content.read(|bytes, last| {
        let path = content.path().display();
        let failed = |kind, message| Err(Error::new(kind, message).with_retry(Retry::AfterChange));
        match TokenContent::parse(&bytes) {
            Err(problem) => {
                failed(ErrorKind::Source, format!("the file `{path}` does not contain a token: {problem}"))
            }
            Ok(found) if found.has_expired(now) => failed(
                ErrorKind::Token,
                format!(
                    "the token in the file `{path}` has expired and was not replaced; expected a new token there: check \
                     the program that writes the file"
                ),
            ),
            // The beginning of a JWT looks like an opaque token.
            Ok(found) if found.expires.is_none() && last.is_some_and(|last| last.expires.is_some()) => failed(
                ErrorKind::Source,
                format!("the file `{path}` contained a JWT before, and now contains something else: is it half written?"),
            ),
            Ok(found) => Ok(found),
        }
    })
}

impl TokenContent {
    /// Reads a token, or says what was found in its place.
    fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        let visible = string::trim(bytes).trim_ascii();
        if visible.starts_with(b"{") || visible.starts_with(b"[") || visible.starts_with(b"-----BEGIN ") {
            return Err("found JSON or PEM; expected the token itself");
        }
        let token = string::read_token(bytes).map_err(string::StringProblem::message)?;
        if token.contains(char::is_whitespace) {
            return Err("found several words; expected one token");
        }
        Ok(TokenContent { token: Zeroizing::new(token.to_owned()), expires: jwt_expiry(token) })
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
    async fn l48_no_token_is_used_for_longer_than_a_minute_unread() {
        let (_directory, path) = file();
        let source = FileToken::new(&path);
        let a_minute = Expiry::In(Duration::from_secs(60));
        let [year, minute, seconds] = [1_000 + 365 * 86_400, 1_061, 1_060].map(|exp| jwt("a", exp));
        for (content, token, expiry) in [
            ("opaque.~+/=", "opaque.~+/=", a_minute),
            (" \topaque\r\n\n", "opaque", a_minute),
            ("\u{feff}opaque\n", "opaque", a_minute),
            (&format!("{year}\n"), year.as_str(), a_minute),
            (&minute, minute.as_str(), a_minute),
            (&seconds, seconds.as_str(), Expiry::At(UNIX_EPOCH + Duration::from_secs(1_060))),
        ] {
            fs::write(&path, content).unwrap();
            assert_eq!(fetch(&source, 1_000).await.unwrap(), (token.to_owned(), expiry), "{content:?}");
        }
        fs::write(&path, "opaque").unwrap();
        let often = FileToken::new(&path).reread_every(Duration::from_secs(5));
        assert_eq!(fetch(&often, 1_000).await.unwrap().1, Expiry::In(Duration::from_secs(5)));
        let never = FileToken::new(&path).reread_every(Duration::MAX);
        fs::write(&path, &year).unwrap();
        let until = Expiry::At(UNIX_EPOCH + Duration::from_secs(1_000 + 365 * 86_400));
        assert_eq!(fetch(&never, 1_000).await.unwrap().1, until);
    }

    #[tokio::test]
    async fn an_unusable_file_is_an_error_that_names_it() {
        let (_directory, path) = file();
        let source = FileToken::new(&path);
        let error = fetch(&source, 1_000).await.unwrap_err();
        assert!(error.to_string().contains("token` cannot be read"), "{error}");
        for (content, expected) in [
            (&b""[..], "an empty string"),
            (b" \n", "an empty string"),
            (b"MARKER one\nMARKER two", "a newline inside"),
            (b"MARKER one MARKER two", "several words"),
            (b"\"MARKER\"", "quotes around"),
            (b"M\0A\0R\0K\0E\0R\0", "UTF-16"),
            (b"/run/secrets/MARKER", "the path of a file"),
            (b"{\"access_token\": \"MARKER\"}", "found JSON or PEM"),
            (b"-----BEGIN MARKER-----", "found JSON or PEM"),
            (b"MARKER\xff", "not UTF-8"),
            (b"MARKER\0", "a control character"),
        ] {
            fs::write(&path, content).unwrap();
            let error = fetch(&source, 1_000).await.unwrap_err();
            assert!(!error.is_transient());
            assert!(error.to_string().contains("token` does not contain a token: "), "{error}");
            assert!(error.to_string().contains(expected), "expected {expected:?} in: {error}");
            assert!(!format!("{error} {error:?} {source:?}").contains("MARKER"), "{error:?}");
        }
    }

    #[tokio::test]
    async fn l24_a_half_written_file_keeps_the_token_until_it_expires() {
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
        // After the JWT has expired, an opaque token is accepted.
        fs::write(&path, "opaque").unwrap();
        assert_eq!(fetch(&source, 2_999).await.unwrap().0, second);
        assert_eq!(fetch(&source, 3_000).await.unwrap().0, "opaque");
        fs::write(&path, "another").unwrap();
        assert_eq!(fetch(&source, 3_000).await.unwrap().0, "another");
    }

    #[tokio::test]
    async fn l08_the_successor_of_an_expired_token_ends_the_cool_down() {
        let (_directory, path) = file();
        let clock = ManualClock::at(Duration::from_secs(1_000));
        let provider = TokenProvider::builder(FileToken::new(&path)).platform(clock.platform()).build().unwrap();
        fs::write(&path, jwt("first", 2_000)).unwrap();
        assert_eq!(provider.token().await.unwrap().secret(), jwt("first", 2_000));

        clock.advance(Duration::from_secs(1_000));
        let error = provider.token().await.unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Token, false));
        assert!(error.to_string().contains("has expired and was not replaced"), "{error}");
        // In the cool-down nothing is fetched: this is the very same failure.
        assert!(provider.token().await.unwrap_err().is(&error));

        fs::write(&path, jwt("second", 3_000)).unwrap();
        clock.advance(Duration::from_secs(1));
        assert_eq!(provider.token().await.unwrap().secret(), jwt("second", 3_000));
    }

    #[tokio::test]
    async fn l48_a_replaced_token_is_served_within_a_minute() {
        const YEAR: u64 = 365 * 86_400;
        for (first, second) in [
            ("first".to_owned(), "second".to_owned()),
            (jwt("first", YEAR), jwt("second", YEAR)),
            (jwt("first", 1_000 + YEAR), jwt("second", 4_600 + YEAR)),
        ] {
            let (_directory, path) = file();
            let clock = ManualClock::at(Duration::from_secs(1_000));
            let platform = clock.platform();
            let provider = TokenProvider::builder(FileToken::new(&path)).platform(platform).build().unwrap();
            fs::write(&path, &first).unwrap();
            for _ in 0..5 {
                assert_eq!(provider.token().await.unwrap().secret(), first);
                clock.advance(Duration::from_secs(60));
            }
            fs::write(&path, &second).unwrap();
            assert_eq!(provider.token().await.unwrap().secret(), second);
        }
    }

    #[tokio::test]
    async fn l48_without_a_new_token_the_old_one_stays() {
        let (_directory, path) = file();
        let clock = ManualClock::at(Duration::from_secs(1_000));
        let provider = TokenProvider::builder(FileToken::new(&path)).platform(clock.platform()).build().unwrap();
        let token = jwt("only", 1_000 + 86_400);
        fs::write(&path, &token).unwrap();
        assert_eq!(provider.token().await.unwrap().secret(), token);
        fs::remove_file(&path).unwrap();
        for _ in 0..100 {
            clock.advance(Duration::from_secs(61));
            assert_eq!(provider.token().await.unwrap().secret(), token);
        }
    }
}
