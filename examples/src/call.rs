//! Calls a URL with the token of a configuration, and shows what went out and what came back.

use std::{ffi::OsString, io::Write, process::ExitCode};

use bearer_token::{Error, RequestHead, TokenProvider};
use bearer_token_config::{KeyedConfig, ProviderConfig};
use http::{Extensions, HeaderMap, Method};

use self::{arguments::Arguments, redaction::Redaction};

mod arguments;
mod dry_run;
mod failure;
mod redaction;
mod request;
mod status;

/// Runs the command and returns the exit status: 0 for success; 1 if the configuration cannot be
/// used, there is no token, the URL cannot be reached, or its status is 400 or more; 2 if the arguments
/// are wrong.
pub async fn run(
    arguments: impl IntoIterator<Item = OsString>,
    out: &mut impl Write,
    err: &mut impl Write,
) -> ExitCode {
    // If writing fails, the reader has closed the pipe, and nothing can be reported.
    let arguments = match arguments::parse(arguments) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            let _ = write!(out, "{}", arguments::USAGE);
            return ExitCode::SUCCESS;
        }
        Err(problem) => {
            let _ = write!(err, "{problem}\n\n{}", arguments::USAGE);
            return ExitCode::from(2);
        }
    };
    match call(&arguments, out).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = failure::explain(&error, &arguments.config, err);
            ExitCode::FAILURE
        }
    }
}

/// Whether the call succeeded.
async fn call(arguments: &Arguments, out: &mut impl Write) -> anyhow::Result<bool> {
    let config = arguments.config.load()?;
    let redaction = Redaction::new(arguments.show_token);
    if arguments.dry_run {
        return Box::pin(dry_run::show(config, &arguments.variables, redaction, out)).await.map(|()| true);
    }
    let provider = build(config, &arguments.variables)?;
    match &arguments.url {
        Some(url) => request::send(provider, url.clone(), redaction, out).await,
        None => status::show(&provider, redaction, out).await.map(|()| true),
    }
}

/// The provider, or the one for these variables.
fn build(config: ProviderConfig, variables: &[(String, String)]) -> Result<TokenProvider, Error> {
    if variables.is_empty() {
        return config.build();
    }
    let config = KeyedConfig::new(config)?;
    let (headers, extensions) = (HeaderMap::new(), Extensions::new());
    let head = RequestHead::new(&Method::GET, &headers, &extensions);
    let key = config.key(&head, variables.iter().map(|(name, value)| (name, value)))?;
    config.providers().build()?.get(&key)
}
