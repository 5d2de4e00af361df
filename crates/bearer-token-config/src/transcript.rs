//! A dry run as text for people.

use std::{fmt, fmt::Write, time::SystemTime};

use bearer_token::{Bearer, Error};
use http::{HeaderMap, StatusCode};

use self::{jwt::Jwt, redaction::Redaction, token_request::TokenRequest};
use crate::DryRun;

mod advice;
mod json_body;
mod jwt;
mod redaction;
mod response_advice;
mod token_request;
mod warnings;

/// The stages of a [dry run](crate::ProviderConfig::dry_run) as text for people: the requests of each, the JWTs in them
/// decoded, and the headers that the API gets.
///
/// `Display` shows no secret, unless [`show_secrets`](Self::show_secrets) asks for them.
///
/// ```
/// use bearer_token::platform::Platform;
/// use bearer_token_config::{ProviderConfig, Transcript};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), bearer_token::Error> {
/// let config = ProviderConfig::from_toml(r#"
///     allow_origins = ["https://api.example.com"]
///     [token_endpoint]
///     url = "https://as.example.com/token"
///     scope = "read,write"
///     client = { id = "reporting", secret = "correct horse battery staple" }
/// "#)?;
/// let stages = config.dry_run().await?;
/// let transcript = Transcript::new(&stages, Platform::system().now().wall());
/// assert!(transcript.to_string().starts_with("POST https://as.example.com/token\n"));
/// assert!(!transcript.to_string().contains("horse"));
/// assert!(transcript.warnings()[0].contains("`scope` has a comma"));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Transcript<'a> {
    stages: &'a [DryRun],
    now: SystemTime,
    redaction: Redaction,
}

impl<'a> Transcript<'a> {
    /// A transcript of these stages. Times in JWTs are shown as dates, and how far they are from `now`.
    pub fn new(stages: &'a [DryRun], now: SystemTime) -> Self {
        Transcript { stages, now, redaction: Redaction::new(false) }
    }

    /// Shows tokens, assertions and other secrets, which are redacted otherwise.
    #[must_use]
    pub fn show_secrets(mut self) -> Self {
        self.redaction = Redaction::new(true);
        self
    }

    /// Values that servers often refuse, each with what they expect instead. They contain no secret.
    pub fn warnings(&self) -> Vec<String> {
        let mut shown = self.shown();
        // Writing to a string cannot fail.
        let _ = shown.write(self.stages, &mut String::new());
        shown.warnings
    }

    /// The error of the first stage that failed before its token request, if any. The transcript ends there.
    pub fn failure(&self) -> Option<&'a Error> {
        let is_complete = |stage: &DryRun| stage.requests().iter().any(|r| !TokenRequest::read(r).is_for_metadata());
        self.stages.iter().find_map(|stage| stage.token().err().filter(|_| !is_complete(stage)))
    }

    /// What to change after a token request of this configuration failed: fields, the most likely one first.
    ///
    /// It depends on the error's kind and code, on the request, and on the claims that
    /// [`server_description`](Error::server_description) mentions. The description itself is not repeated. It is empty
    /// for an error with problems, which name their fields themselves.
    pub fn advice(&self, error: &Error) -> Vec<String> {
        advice::for_error(error, self.stages)
    }

    /// Returns what to change after this response of the API to a request with the token: fields, or the URL. `None` if
    /// nothing is wrong.
    ///
    /// `is_empty` tells whether the response has no body: a 403 that says nothing at all has several meanings.
    pub fn advice_on_response(&self, status: StatusCode, headers: &HeaderMap, is_empty: bool) -> Option<&'static str> {
        response_advice::for_response(self.stages, status, headers, is_empty)
    }

    fn shown(&self) -> Shown {
        Shown { redaction: self.redaction, now: self.now, tokens: Vec::new(), warnings: Vec::new() }
    }
}

impl fmt::Display for Transcript<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shown().write(self.stages, f)
    }
}

/// What was shown so far.
struct Shown {
    redaction: Redaction,
    now: SystemTime,
    /// The tokens of the stages so far.
    tokens: Vec<String>,
    warnings: Vec<String>,
}

impl Shown {
    fn write(&mut self, stages: &[DryRun], out: &mut impl Write) -> fmt::Result {
        for (number, stage) in stages.iter().enumerate() {
            if stages.len() > 1 {
                let space = if number > 0 { "\n" } else { "" };
                writeln!(out, "{space}== {} ==\n", stage.stage())?;
            }
            let is_complete = self.requests(stage, out)?;
            match stage.token() {
                Err(_) if !is_complete => return Ok(()),
                Ok(bearer) if stage.requests().is_empty() => self.token(bearer, out)?,
                // Only the last stage's token is sent to the API.
                Ok(bearer) if number + 1 == stages.len() => {
                    let stand_in = "here, with a stand-in for the token";
                    writeln!(out, "\n[Each request to the API gets these headers; {stand_in}.]")?;
                    self.headers(bearer, out)?;
                }
                Ok(_) | Err(_) => {}
            }
            // A JWT that was shown is not shown again in the request that it is sent with.
            self.tokens.extend(stage.token().map(|bearer| bearer.secret().to_owned()));
        }
        Ok(())
    }

    /// Shows the requests of a stage. Returns whether one of them is for a token.
    fn requests(&mut self, stage: &DryRun, out: &mut impl Write) -> Result<bool, fmt::Error> {
        let mut is_complete = false;
        for (number, request) in stage.requests().iter().enumerate() {
            if number > 0 {
                writeln!(out)?;
            }
            let request = TokenRequest::read(request);
            request.show(self.redaction, out)?;
            self.warnings.extend(warnings::of_request(&request));
            if request.is_for_metadata() {
                writeln!(out, "\n[The metadata has the URL of the token endpoint; here, a stand-in for it.]")?;
                continue;
            }
            is_complete = true;
            for (name, text) in request.credentials() {
                let Some(jwt) = Jwt::read(text).filter(|_| !self.tokens.iter().any(|token| token == text)) else {
                    continue;
                };
                // `aud` may be the URL with its query, in another spelling.
                let secrets = self.redaction.secrets(request.query());
                jwt.show(name, self.now, |value| secrets.value(value), out)?;
                if token_request::ASSERTIONS.contains(&name) {
                    self.warnings.extend(warnings::of_assertion(&jwt, &request, self.now));
                }
            }
        }
        Ok(is_complete)
    }

    /// Shows the token's header, and those beside it, which may hold a key of the API's gateway.
    fn headers(&self, bearer: &Bearer, out: &mut impl Write) -> fmt::Result {
        for (name, value) in bearer.headers() {
            let shown = if name == bearer.header_name() {
                self.redaction.authorization(value)
            } else {
                // A word before a space is no scheme there.
                self.redaction.token(&String::from_utf8_lossy(value.as_bytes()))
            };
            writeln!(out, "{name}: {shown}")?;
        }
        Ok(())
    }

    /// Shows a token that no request is needed for.
    fn token(&mut self, bearer: &Bearer, out: &mut impl Write) -> fmt::Result {
        writeln!(out, "There is no token request: the token is already known.\n")?;
        self.headers(bearer, out)?;
        if let Some(jwt) = Jwt::read(bearer.secret()) {
            jwt.show("token", self.now, serde_json::Value::clone, out)?;
            self.warnings.extend(warnings::of_token(&jwt, self.now));
        }
        Ok(())
    }
}
