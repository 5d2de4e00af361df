//! What can go wrong, said once for everybody who waited for it.

use std::{borrow::Cow, error::Error as StdError, fmt, sync::Arc, time::Duration};

type BoxError = Box<dyn StdError + Send + Sync>;

/// Why no token could be had, or why it may not be sent.
///
/// One failed fetch reaches many waiting callers, so an error is a cheap clone of one shared value.
/// It tells what was found, what was expected and what to change. Its `Debug`, `Display` and
/// [`source`](StdError::source) chain never carry a token, an assertion, a key, or text that a server sent.
///
/// Two questions decide what a program does with it: [`kind`](Error::kind) says which part failed, and
/// [`retry`](Error::retry) whether waiting can help.
///
/// ```
/// use bearer_token::{Error, ErrorKind, Retry};
///
/// let error = Error::new(ErrorKind::Source, "the key vault did not answer");
/// assert_eq!(error.retry(), Retry::Later { after: None });
/// ```
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    retry: Retry,
    oauth_code: Option<Cow<'static, str>>,
    server_description: Option<Box<str>>,
    problems: Vec<Problem>,
    source: Option<BoxError>,
}

/// The part that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The configuration cannot work; [`Error::problems`] lists everything that is wrong with it.
    Config,
    /// The request goes to an origin that tokens of this provider may not be sent to.
    Origin,
    /// A JWT could not be signed.
    Signing,
    /// The authorization server could not be reached, or the connection broke.
    Transport,
    /// No answer came before the deadline.
    Timeout,
    /// The authorization server is in trouble or asks for patience: HTTP 5xx or 429.
    Unavailable,
    /// The authorization server refused the token request: its verdict, with or without an OAuth error code.
    Refused,
    /// The authorization server answered with success, but not with a token that can be read.
    Response,
    /// The token itself cannot be used as a bearer token.
    Token,
    /// The source failed in a way of its own.
    Source,
    /// The source panicked. The panic ended that fetch only.
    Panicked,
    /// The fetch ended before it had a result, for example because its runtime was shut down.
    Abandoned,
}

/// Whether trying again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Retry {
    /// The cause may pass by itself. Not before `after`, if the server named a time (RFC 9110 section 10.2.3).
    Later {
        /// How long to wait at the least, counted from the answer.
        after: Option<Duration>,
    },
    /// The same request fails again until a key, a permission or the configuration changes.
    /// Providers still try again, rarely, so that a mended cause needs no restart.
    AfterChange,
}

/// One thing that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    path: String,
    message: String,
}

impl Problem {
    /// The field, as a path with dots: `jwt.key.file`, or the builder's method.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What was found, what was expected, and what to change.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

impl Error {
    /// An error with the retry advice that is usual for its kind.
    ///
    /// Sources of your own use it. The message ends up in logs: keep secrets out of it.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        let retry = match kind {
            ErrorKind::Config | ErrorKind::Origin | ErrorKind::Signing | ErrorKind::Refused => Retry::AfterChange,
            _ => Retry::Later { after: None },
        };
        Error(Arc::new(Inner {
            kind,
            message: message.into(),
            retry,
            oauth_code: None,
            server_description: None,
            problems: Vec::new(),
            source: None,
        }))
    }

    /// Replaces the retry advice.
    #[must_use]
    pub fn with_retry(self, retry: Retry) -> Self {
        self.map(|inner| inner.retry = retry)
    }

    /// Adds the cause, found again through [`source`](StdError::source).
    ///
    /// The cause's own `Debug` and `Display` are printed wherever errors are: pass none that carries a secret.
    #[must_use]
    pub fn with_source(self, source: impl Into<BoxError>) -> Self {
        self.map(|inner| inner.source = Some(source.into()))
    }

    /// Adds the OAuth error code of the answer (RFC 6749 section 5.2).
    #[must_use]
    pub fn with_oauth_code(self, code: impl Into<Cow<'static, str>>) -> Self {
        self.map(|inner| inner.oauth_code = Some(code.into()))
    }

    /// Adds the server's description of a refusal, which must be safe to show.
    #[cfg(feature = "oauth")]
    pub(crate) fn with_server_description(self, description: Option<impl Into<Box<str>>>) -> Self {
        match description {
            Some(description) => self.map(|inner| inner.server_description = Some(description.into())),
            None => self,
        }
    }

    /// Finds the token error behind another error, through any number of wrappers.
    ///
    /// Clients and layers wrap the errors of what is below them: tower's `Buffer`, retrying middlewares, your own.
    ///
    /// ```
    /// # use bearer_token::Error;
    /// # fn example(error: Box<dyn std::error::Error + Send + Sync>) {
    /// match Error::find(&*error) {
    ///     Some(error) if error.is_transient() => println!("later: {error}"),
    ///     Some(error) => println!("mend the credential: {error}"),
    ///     None => println!("{error}"),
    /// }
    /// # }
    /// ```
    pub fn find<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Error> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref() {
                return Some(found);
            }
            next = error.source();
        }
        None
    }

    /// The part that failed.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether trying again can help, and when.
    pub fn retry(&self) -> Retry {
        self.0.retry
    }

    /// Whether the cause may pass by itself.
    pub fn is_transient(&self) -> bool {
        matches!(self.0.retry, Retry::Later { .. })
    }

    /// The gRPC status code that a call should end with which got no token: 14 (`UNAVAILABLE`) if the cause may pass by
    /// itself, and 16 (`UNAUTHENTICATED`) if not.
    ///
    /// The codes follow the [retry advice](Error::retry): callers and proxies repeat calls that end with
    /// `UNAVAILABLE`, and with hardly another one. So a token request that was refused, a JWT that cannot be signed, a
    /// provider that cannot be built and an origin that gets no token are 16, and everything else is 14, a source that
    /// ran out of time included: `DEADLINE_EXCEEDED` would say that the call's own time was up.
    ///
    /// See the [list of status codes](https://grpc.io/docs/guides/status-codes/).
    ///
    /// ```
    /// use bearer_token::{Error, ErrorKind};
    ///
    /// assert_eq!(Error::new(ErrorKind::Transport, "the authorization server cannot be reached").grpc_code(), 14);
    /// assert_eq!(Error::new(ErrorKind::Refused, "the authorization server refused the client").grpc_code(), 16);
    /// ```
    pub fn grpc_code(&self) -> i32 {
        if self.is_transient() { 14 } else { 16 }
    }

    /// The OAuth error code that the authorization server gave, such as `invalid_grant` (RFC 6749 section 5.2).
    pub fn oauth_code(&self) -> Option<&str> {
        self.0.oauth_code.as_deref()
    }

    /// The authorization server's own description of a refusal, for the developer who looks for its cause.
    ///
    /// It is the response's `error_description` (RFC 6749 section 5.2), or the similar field that the server uses
    /// instead. Neither `Display`, `Debug` nor [`source`](StdError::source) shows it, because it is untrusted input: show
    /// it on request only, and do not act on it. It is printable ASCII of at most 256 bytes. It is `None` if the server
    /// sent none, or if the text repeats any part of what was sent: a secret, a token, an assertion or a parameter.
    ///
    /// ```
    /// # fn example(error: &bearer_token::Error) {
    /// eprintln!("{error}");
    /// if let Some(description) = error.server_description() {
    ///     eprintln!("the server says: {description:?}");
    /// }
    /// # }
    /// ```
    pub fn server_description(&self) -> Option<&str> {
        self.0.server_description.as_deref()
    }

    /// Everything that is wrong with a configuration; empty for other kinds.
    pub fn problems(&self) -> &[Problem] {
        &self.0.problems
    }

    /// Whether it is this very failure, not one like it.
    pub(crate) fn is(&self, other: &Error) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Changes a value that nobody else holds yet. A shared one is rebuilt without its cause, which has one owner.
    fn map(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        if Arc::get_mut(&mut self.0).is_none() {
            let shared = self.clone();
            self = Error(Arc::new(Inner {
                kind: shared.kind(),
                message: shared.0.message.clone(),
                retry: shared.retry(),
                oauth_code: shared.0.oauth_code.clone(),
                server_description: shared.0.server_description.clone(),
                problems: shared.0.problems.clone(),
                source: Some(Box::new(shared)),
            }));
        }
        if let Some(inner) = Arc::get_mut(&mut self.0) {
            change(inner);
        }
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        for (index, problem) in self.0.problems.iter().enumerate() {
            write!(f, "{} {problem}", if index == 0 { ":" } else { ";" })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        let mut out = f.debug_struct("Error");
        out.field("kind", &inner.kind).field("message", &inner.message).field("retry", &inner.retry);
        if let Some(code) = &inner.oauth_code {
            out.field("oauth_code", code);
        }
        if !inner.problems.is_empty() {
            out.field("problems", &inner.problems);
        }
        if let Some(source) = &inner.source {
            out.field("source", source);
        }
        out.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

/// Collects what is wrong with a configuration, so that all of it is reported at once.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<Problem>);

impl Problems {
    pub(crate) fn push(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push(Problem { path: path.into(), message: message.into() });
    }

    /// The error about one problem.
    #[cfg(feature = "jwt")]
    pub(crate) fn one(what: &'static str, path: impl Into<String>, message: impl Into<String>) -> Error {
        let problem = Problem { path: path.into(), message: message.into() };
        Error::new(ErrorKind::Config, what).map(|inner| inner.problems.push(problem))
    }

    /// Takes over the problems of a part, under the part's path.
    #[allow(dead_code, reason = "used by parts that are behind features")]
    pub(crate) fn absorb(&mut self, prefix: &str, error: &Error) {
        if error.problems().is_empty() {
            self.push(prefix, error.to_string());
        }
        for Problem { path, message } in error.problems() {
            let path = if prefix.is_empty() { path.clone() } else { format!("{prefix}.{path}") };
            self.push(path, message.clone());
        }
    }

    #[cfg(feature = "config")]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    #[cfg(feature = "config")]
    pub(crate) fn extend(&mut self, others: Problems) {
        self.0.extend(others.0);
    }

    /// The problems that an error lists.
    #[cfg(feature = "config")]
    pub(crate) fn of(error: &Error) -> Self {
        Problems(error.problems().to_vec())
    }

    /// Takes over those problems that do not merely follow from a field that could not be read: it is not missing.
    #[cfg(feature = "config")]
    pub(crate) fn add_unrelated(&mut self, others: Problems, unread: &[String]) {
        let is_within = |path: &str, other: &str| {
            path.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        let follows = |path: &str| unread.iter().any(|unread| is_within(path, unread) || is_within(unread, path));
        self.0.extend(others.0.into_iter().filter(|problem| !follows(&problem.path)));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `Ok` when nothing was found, else one error that names everything.
    pub(crate) fn into_result(self, what: &'static str) -> Result<(), Error> {
        if self.is_empty() {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Config, what).map(|inner| inner.problems = self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_of_a_configuration_is_in_one_error() {
        let mut problems = Problems::default();
        problems.push("jwt.key", "found nothing, expected a PEM; set `jwt.key.file`");
        problems.push("token_endpoint.url", "found `http://`, expected `https://`");
        let error = problems.into_result("the provider cannot be built").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert_eq!(error.problems().len(), 2);
        let text = error.to_string();
        assert!(text.contains("jwt.key: found nothing") && text.contains("token_endpoint.url: found"), "{text}");
    }

    #[test]
    fn a_grpc_call_without_a_token_is_unavailable_while_waiting_can_help_and_else_unauthenticated() {
        for (kind, code) in [
            (ErrorKind::Config, 16),
            (ErrorKind::Origin, 16),
            (ErrorKind::Signing, 16),
            (ErrorKind::Refused, 16),
            (ErrorKind::Transport, 14),
            (ErrorKind::Timeout, 14),
            (ErrorKind::Unavailable, 14),
            (ErrorKind::Response, 14),
            (ErrorKind::Token, 14),
            (ErrorKind::Source, 14),
            (ErrorKind::Panicked, 14),
            (ErrorKind::Abandoned, 14),
        ] {
            let error = Error::new(kind, "what went wrong");
            assert_eq!(error.grpc_code(), code, "{kind:?}");
            assert_eq!(error.clone().with_retry(Retry::AfterChange).grpc_code(), 16, "{kind:?}");
            assert_eq!(error.with_retry(Retry::Later { after: None }).grpc_code(), 14, "{kind:?}");
        }
    }

    #[test]
    fn changing_a_shared_error_leaves_the_others_alone_and_keeps_the_cause() {
        let first = Error::new(ErrorKind::Timeout, "no answer in 10 s");
        let second = first.clone().with_retry(Retry::AfterChange);
        assert_eq!(first.retry(), Retry::Later { after: None });
        assert_eq!(second.retry(), Retry::AfterChange);
        assert!(second.source().is_some());
    }
}
