//! A string that is looked up each time it is needed.

use std::{env, fmt, path::Path, sync::Arc};

use zeroize::Zeroizing;

use crate::{
    error::{Error, ErrorKind, Retry},
    files::last_good::LastGood,
    platform::Platform,
    problem::Problem,
    provider::TokenProvider,
    secret::string,
    source::FetchContext,
};

/// A string for a token request: a literal, or one that is looked up again for each request.
///
/// It can come from a file, an environment variable, or another provider's token. A [member](Self::member) of a JSON
/// document or a [part](Self::before) of the string can be taken from it, and a [prefix](Self::prefix) added. The steps are always applied
/// in this order: member, part, prefix and suffix.
///
/// ```
/// use bearer_token::{StaticToken, TokenProvider, oauth::Value};
///
/// # fn main() -> Result<(), bearer_token::Error> {
/// let literal = Value::from("https://api.example.com/");
/// let from_json = Value::file("account.json").member("/client_email");
/// let first_half = Value::env("ADMIN_KEY").before(":");
///
/// let platform_identity = TokenProvider::builder(StaticToken::new("a token")).build()?;
/// let authorization = Value::token_of(platform_identity).prefix("Bearer ");
/// # let _ = (literal, from_json, first_half, authorization); Ok(()) }
/// ```
///
/// One trailing newline and a leading byte order mark are removed, wherever the string came from. Other control
/// characters are an error. `Debug` shows where a value comes from, and nothing of it.
///
/// A value from a file stays as it was while the file is missing or unusable. A value from a variable or a provider
/// that is not there is an error of the fetch.
#[derive(Clone)]
pub struct Value {
    origin: Origin,
    member: Option<Arc<str>>,
    part: Option<(Part, Arc<str>)>,
    prefix: Zeroizing<String>,
    suffix: Zeroizing<String>,
}

#[derive(Clone)]
enum Origin {
    Literal(Zeroizing<String>),
    File(LastGood<Zeroizing<Vec<u8>>>),
    Variable(Arc<str>),
    Token { provider: TokenProvider, fresh: bool },
}

#[derive(Clone, Copy, Debug)]
enum Part {
    Before,
    After,
}

impl Value {
    fn new(origin: Origin) -> Self {
        Value { origin, member: None, part: None, prefix: Zeroizing::default(), suffix: Zeroizing::default() }
    }

    /// The content of a file, read again for each request.
    pub fn file(path: impl AsRef<Path>) -> Self {
        Value::new(Origin::File(LastGood::new_or_pipe(path)))
    }

    /// The value of an environment variable.
    pub fn env(name: impl Into<String>) -> Self {
        Value::new(Origin::Variable(name.into().into()))
    }

    /// The token of another provider: for a chain of token requests. The provider keeps its own cache, so each stage is
    /// asked once per lifetime.
    pub fn token_of(provider: TokenProvider) -> Self {
        Value::new(Origin::Token { provider, fresh: false })
    }

    /// Asks the other provider for a new token each time, for servers that accept each token only once.
    ///
    /// Changes nothing for values that are not [tokens](Self::token_of).
    #[must_use]
    pub fn fresh(mut self) -> Self {
        if let Origin::Token { fresh, .. } = &mut self.origin {
            *fresh = true;
        }
        self
    }

    /// Takes a member of the JSON document that was found, by JSON pointer: `/private_key`, `/data/0/token` (RFC 6901).
    #[must_use]
    pub fn member(mut self, pointer: impl Into<String>) -> Self {
        self.member = Some(pointer.into().into());
        self
    }

    /// Takes the part before the first occurrence of a separator.
    #[must_use]
    pub fn before(mut self, separator: impl Into<String>) -> Self {
        self.part = Some((Part::Before, separator.into().into()));
        self
    }

    /// Takes the part after the first occurrence of a separator.
    #[must_use]
    pub fn after(mut self, separator: impl Into<String>) -> Self {
        self.part = Some((Part::After, separator.into().into()));
        self
    }

    /// Puts a string before the value, such as `Bearer `.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = Zeroizing::new(prefix.into());
        self
    }

    /// Puts a string behind the value.
    #[must_use]
    pub fn suffix(mut self, suffix: impl Into<String>) -> Self {
        self.suffix = Zeroizing::new(suffix.into());
        self
    }

    /// Whether the value is looked up: it is not the same for the life of the process.
    #[cfg(feature = "jwt")]
    pub(crate) fn is_looked_up(&self) -> bool {
        !matches!(self.origin, Origin::Literal(_))
    }

    /// Whether its file was written since it was read last.
    pub(crate) fn has_changed(&self) -> bool {
        match &self.origin {
            Origin::File(file) => file.has_changed(),
            Origin::Token { provider, .. } => crate::source::TokenSource::has_changed(provider),
            Origin::Literal(_) | Origin::Variable(_) => false,
        }
    }

    /// What is wrong with the value now, as far as that can be known without asking a provider. Blocks.
    pub(crate) fn problem(&self, path: &str) -> Option<Problem> {
        if self.part.as_ref().is_some_and(|(_, separator)| separator.is_empty()) {
            return Some(Problem::new(path, "found an empty separator").expecting("a character such as `:`"));
        }
        let error = match &self.origin {
            Origin::Token { .. } => return None,
            _ => self.found().and_then(|found| self.finish(&found)).err()?,
        };
        Some(Problem::new(path, error.to_string()))
    }

    /// The value for one request.
    ///
    /// # Errors
    ///
    /// Of kind [`Source`](ErrorKind::Source) if it is not there or not as expected, or the error of the other provider.
    pub async fn read(&self, cx: &FetchContext) -> Result<Zeroizing<String>, Error> {
        self.read_on(cx.platform()).await
    }

    /// The value as it is now. Blocks for files.
    ///
    /// For code that checks a value before it is needed, or needs it only once.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read), and for the token of another provider, which has to be waited for.
    pub fn read_now(&self) -> Result<Zeroizing<String>, Error> {
        self.finish(&self.found()?)
    }

    async fn read_on(&self, platform: &Platform) -> Result<Zeroizing<String>, Error> {
        let found = match &self.origin {
            Origin::Token { provider, fresh } => {
                let bearer = if *fresh { provider.refresh_now().await } else { provider.token().await };
                let bearer = bearer.map_err(|error| {
                    let message = format!("the token of another provider is missing: {error}");
                    error.with_context(message)
                })?;
                Zeroizing::new(bearer.secret().as_bytes().to_vec())
            }
            Origin::File(_) => {
                let value = self.clone();
                platform.run_blocking(move || value.found()).await??
            }
            Origin::Literal(_) | Origin::Variable(_) => self.found()?,
        };
        self.finish(&found)
    }

    /// The bytes at the origin. Blocks for files.
    fn found(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        match &self.origin {
            Origin::Literal(text) => Ok(Zeroizing::new(text.as_bytes().to_vec())),
            // Checked before it replaces what was read last.
            Origin::File(file) => file.read(|bytes, _| self.finish(&bytes).map(|_| bytes)),
            Origin::Variable(name) => match env::var_os(&**name) {
                Some(value) => Ok(Zeroizing::new(value.into_encoded_bytes())),
                None => Err(self.error("the environment variable is not set")),
            },
            Origin::Token { .. } => Err(self.error("found a token; expected a literal, a file or a variable")),
        }
    }

    /// The string that is sent.
    fn finish(&self, found: &[u8]) -> Result<Zeroizing<String>, Error> {
        let text = match &self.member {
            None => Zeroizing::new(
                string::read_verbatim(string::trim(found)).map_err(|problem| self.error(problem.message()))?.to_owned(),
            ),
            Some(pointer) => self.member_of(found, pointer)?,
        };
        let part = match &self.part {
            None => text.as_str(),
            Some((part, separator)) => {
                let (before, after) = text.split_once(&**separator).ok_or_else(|| {
                    self.error(format!("found no `{separator}` in it; expected two parts around one"))
                })?;
                match part {
                    Part::Before => before,
                    Part::After => after,
                }
            }
        };
        if part.is_empty() {
            return Err(self.error("found an empty string; expected the value itself"));
        }
        Ok(Zeroizing::new([&self.prefix, part, &self.suffix].concat()))
    }

    fn member_of(&self, found: &[u8], pointer: &str) -> Result<Zeroizing<String>, Error> {
        let document: serde_json::Value = serde_json::from_slice(string::trim(found))
            .map_err(|_| self.error("found something that is not JSON; expected a JSON document with the member"))?;
        match document.pointer(pointer) {
            Some(serde_json::Value::String(text)) => Ok(Zeroizing::new(text.clone())),
            Some(serde_json::Value::Number(number)) => Ok(Zeroizing::new(number.to_string())),
            Some(_) => Err(self.error(format!("found `{pointer}`, which is not a string; expected a string"))),
            None => {
                let members: Vec<_> =
                    document.as_object().into_iter().flatten().map(|(name, _)| format!("`/{name}`")).take(16).collect();
                let members =
                    if members.is_empty() { String::new() } else { format!(": it has {}", members.join(", ")) };
                Err(self.error(format!("found no member `{pointer}`; expected a JSON pointer to one{members}")))
            }
        }
    }

    /// An error that names where the value comes from.
    fn error(&self, problem: impl fmt::Display) -> Error {
        let message = match &self.origin {
            Origin::Literal(_) => problem.to_string(),
            Origin::File(file) => format!("the file `{}`: {problem}", file.path().display()),
            Origin::Variable(name) => format!("the environment variable `{name}`: {problem}"),
            Origin::Token { .. } => format!("the token of another provider: {problem}"),
        };
        Error::new(ErrorKind::Source, message).with_retry(Retry::AfterChange)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::new(Origin::Literal(Zeroizing::new(text)))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::from(text.to_owned())
    }
}

impl From<TokenProvider> for Value {
    fn from(provider: TokenProvider) -> Self {
        Value::token_of(provider)
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::Literal(_) => f.write_str("Value([redacted])"),
            Origin::File(file) => write!(f, "Value(file {:?})", file.path()),
            Origin::Variable(name) => write!(f, "Value(variable {name:?})"),
            Origin::Token { .. } => f.write_str("Value(token of another provider)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use super::*;
    use crate::{
        AccessToken, StaticToken,
        sync::{Mutex, lock},
        token::FetchReason,
    };

    const ACCOUNT: &str = r#"{"client_email":"me@example.com","nested":{"list":["a","b"]},"number":7,"empty":""}"#;

    async fn read(value: &Value) -> Result<String, String> {
        let cx = FetchContext::new(Platform::system(), Duration::from_secs(10), FetchReason::Missing);
        value.read(&cx).await.map(|text| text.to_string()).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn steps_are_applied_in_their_order() {
        for (value, expected) in [
            (Value::from("plain"), Ok("plain")),
            (Value::from("plain\n"), Ok("plain")),
            (Value::from("\u{feff}plain\r\n"), Ok("plain")),
            (Value::from("id:secret:more").before(":"), Ok("id")),
            (Value::from("id:secret:more").after(":"), Ok("secret:more")),
            (Value::from("id:secret").suffix("!").prefix("Key ").after(":"), Ok("Key secret!")),
            (Value::from(ACCOUNT).member("/client_email"), Ok("me@example.com")),
            (Value::from(ACCOUNT).member("/client_email").before("@"), Ok("me")),
            (Value::from(ACCOUNT).member("/nested/list/1"), Ok("b")),
            (Value::from(ACCOUNT).member("/number"), Ok("7")),
            (Value::from("id").after(":"), Err("found no `:` in it")),
            (Value::from("id:").after(":"), Err("found an empty string")),
            (Value::from(""), Err("found an empty string")),
            (Value::from("two\nlines"), Err("found a newline inside")),
            (Value::from("plain").member("/a"), Err("not JSON")),
            (Value::from(ACCOUNT).member("/nested"), Err("not a string")),
            (Value::from(ACCOUNT).member("/empty"), Err("found an empty string")),
            (Value::from(ACCOUNT).member("/email"), Err("it has `/client_email`, `/empty`, `/nested`, `/number`")),
        ] {
            let found = read(&value).await;
            match expected {
                Ok(text) => assert_eq!(found.as_deref(), Ok(text)),
                Err(words) => {
                    let error = found.unwrap_err();
                    assert!(error.contains(words) && !error.contains("me@example.com"), "{error}");
                }
            }
        }
        assert!(Value::from("a").before("").problem("subject_token").is_some());
    }

    #[tokio::test]
    async fn a_file_is_read_again_and_keeps_its_last_good_value() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("account.json");
        let value = Value::file(&path).member("/client_email");
        assert!(read(&value).await.unwrap_err().contains("cannot be read"));
        fs::write(&path, ACCOUNT).unwrap();
        assert!(value.has_changed());
        assert_eq!(read(&value).await.unwrap(), "me@example.com");
        // Half a document.
        fs::write(&path, &ACCOUNT[..20]).unwrap();
        assert_eq!(read(&value).await.unwrap(), "me@example.com");
        fs::write(&path, ACCOUNT.replace("me@", "other@")).unwrap();
        assert_eq!(read(&value).await.unwrap(), "other@example.com");
    }

    #[tokio::test]
    async fn a_variable_that_is_not_set_is_named() {
        let error = read(&Value::env("BEARER_TOKEN_TEST_THAT_IS_NOT_SET")).await.unwrap_err();
        assert!(error.contains("`BEARER_TOKEN_TEST_THAT_IS_NOT_SET`: the environment variable is not set"), "{error}");
        assert!(!read(&Value::env("PATH")).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_token_is_cached_unless_a_fresh_one_is_asked_for() {
        let count = Arc::new(Mutex::new(0));
        let counted = count.clone();
        let source = move |_cx: FetchContext| {
            *lock(&counted) += 1;
            let token = format!("token-{}", lock(&counted));
            async { Ok(AccessToken::new(token)) }
        };
        let provider = TokenProvider::builder(source).build().unwrap();
        let value = Value::from(provider).prefix("Bearer ");
        for _ in 0..3 {
            assert_eq!(read(&value).await.unwrap(), "Bearer token-1");
        }
        let value = value.fresh();
        assert_eq!(read(&value).await.unwrap(), "Bearer token-2");
        assert_eq!(read(&value).await.unwrap(), "Bearer token-3");
    }

    #[tokio::test]
    async fn the_error_of_another_provider_says_so() {
        let provider = TokenProvider::builder(StaticToken::new("two words")).build().unwrap();
        let error = read(&Value::from(provider)).await.unwrap_err();
        assert!(error.contains("the token of another provider is missing"), "{error}");
    }

    #[test]
    fn debug_shows_the_origin_and_nothing_of_the_value() {
        let provider = TokenProvider::builder(StaticToken::new("planted")).build().unwrap();
        for value in [Value::from("planted"), Value::env("NAME").prefix("planted"), Value::from(provider)] {
            let shown = format!("{value:?}");
            assert!(!shown.contains("planted"), "{shown}");
        }
    }
}
