//! The dry run: shows the token request and its JWT.

use std::{
    io::Write,
    sync::{Arc, Mutex, PoisonError},
};

use bearer_token::{Error, ErrorKind, Retry, platform::Platform, transport::Transport};
use bearer_token_config::ProviderConfig;
use bytes::Bytes;

use self::{jwt::Jwt, token_request::TokenRequest};
use super::redaction::Redaction;

mod jwt;
mod token_request;
mod warnings;

/// Shows the token request without sending it.
pub(super) async fn show(config: ProviderConfig, redaction: Redaction, out: &mut impl Write) -> anyhow::Result<()> {
    let recorder = Recorder::default();
    let provider = config.transport(recorder.clone()).build()?;
    let result = provider.token().await;
    let now = Platform::system().now().wall();

    let mut warnings = Vec::new();
    if let Some(request) = recorder.request() {
        let request = TokenRequest::read(&request);
        request.show(redaction, out)?;
        warnings.extend(warnings::of_request(&request));
        for (name, jwt) in request.assertions() {
            // `aud` may be the URL with its query, in another spelling.
            let secrets = redaction.secrets(request.query());
            jwt.show(name, now, |value| secrets.value(value), out)?;
            warnings.extend(warnings::of_assertion(&jwt, &request, now));
        }
    } else {
        // Without a token request there is already a token, or an error.
        let bearer = result?;
        writeln!(out, "There is no token request: the token is already known.\n")?;
        // With the headers beside it, which may hold a key of the API's gateway.
        for (name, value) in bearer.headers() {
            writeln!(out, "{name}: {}", redaction.authorization(value))?;
        }
        if let Some(jwt) = Jwt::read(bearer.secret()) {
            jwt.show("token", now, serde_json::Value::clone, out)?;
            warnings.extend(warnings::of_token(&jwt, now));
        }
    }
    if !warnings.is_empty() {
        writeln!(out)?;
    }
    for warning in warnings {
        writeln!(out, "warning: {warning}")?;
    }
    writeln!(out, "\nThis was a dry run: nothing was sent.")?;
    Ok(())
}

/// A transport that keeps the request instead of sending it.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Option<http::Request<Bytes>>>>);

impl Recorder {
    fn request(&self) -> Option<http::Request<Bytes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Transport for Recorder {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(request);
        Err(Error::new(ErrorKind::Abandoned, "this is a dry run").with_retry(Retry::AfterChange))
    }
}
