//! The dry run: shows the requests of each stage and their JWTs.

use std::{io, io::Write, time::SystemTime};

use bearer_token::{Bearer, platform::Platform};
use bearer_token_config::{DryRun, ProviderConfig};

use self::{jwt::Jwt, token_request::TokenRequest};
use super::redaction::Redaction;

mod json_body;
mod jwt;
mod token_request;
mod warnings;

/// Shows each stage's requests without sending them.
pub(super) async fn show(
    config: ProviderConfig,
    variables: &[(String, String)],
    redaction: Redaction,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let stages = match variables {
        [] => config.dry_run().await?,
        variables => config.dry_run_with(variables.iter().cloned()).await?,
    };
    let mut shown = Shown { redaction, now: Platform::system().now().wall(), tokens: Vec::new(), warnings: Vec::new() };
    for (number, stage) in stages.iter().enumerate() {
        if stages.len() > 1 {
            let space = if number > 0 { "\n" } else { "" };
            writeln!(out, "{space}== {} ==\n", stage.stage())?;
        }
        let is_complete = shown.requests(stage, out)?;
        match stage.token() {
            Err(error) if !is_complete => return Err(error.clone().into()),
            Ok(bearer) if stage.requests().is_empty() => shown.token(bearer, out)?,
            // Only the last stage's token is sent to the API.
            Ok(bearer) if number + 1 == stages.len() => {
                writeln!(out, "\n[Each request to the API gets these headers; here, with a stand-in for the token.]")?;
                shown.headers(bearer, out)?;
            }
            Ok(_) | Err(_) => {}
        }
        // A JWT that was shown is not shown again in the request that it is sent with.
        shown.tokens.extend(stage.token().map(|bearer| bearer.secret().to_owned()));
    }
    if !shown.warnings.is_empty() {
        writeln!(out)?;
    }
    for warning in shown.warnings {
        writeln!(out, "warning: {warning}")?;
    }
    writeln!(out, "\nThis was a dry run: nothing was sent.")?;
    Ok(())
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
    /// Shows the requests of a stage. Returns whether one of them is for a token.
    fn requests(&mut self, stage: &DryRun, out: &mut impl Write) -> io::Result<bool> {
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
    fn headers(&self, bearer: &Bearer, out: &mut impl Write) -> io::Result<()> {
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
    fn token(&mut self, bearer: &Bearer, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "There is no token request: the token is already known.\n")?;
        self.headers(bearer, out)?;
        if let Some(jwt) = Jwt::read(bearer.secret()) {
            jwt.show("token", self.now, serde_json::Value::clone, out)?;
            self.warnings.extend(warnings::of_token(&jwt, self.now));
        }
        Ok(())
    }
}
