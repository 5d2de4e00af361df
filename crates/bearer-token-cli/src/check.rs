//! Checks a configuration: a dry run, then a real token request, then a call; and says what to change.

use std::{io::Write, time::SystemTime};

use bearer_token::{Error, TokenProvider, platform::Platform};
use bearer_token_config::Transcript;
use reqwest::Url;

use crate::{
    arguments::Access,
    call,
    failure::{self, Exit},
    redaction::Redaction,
};

pub(crate) async fn run(
    access: &Access,
    dry_run: bool,
    url: Option<Url>,
    out: &mut impl Write,
) -> anyhow::Result<Exit> {
    let now = Platform::system().now().wall();
    let stages = access.source.dry_run().await?;
    let transcript = Transcript::new(&stages, now);
    let transcript = if access.show_token { transcript.show_secrets() } else { transcript };
    write!(out, "{transcript}")?;
    let warnings: String = transcript.warnings().iter().map(|warning| format!("\nwarning: {warning}")).collect();
    writeln!(out, "{warnings}")?;
    if let Some(error) = transcript.failure() {
        return advise(&error.clone().into(), access, &transcript, out);
    }
    if dry_run {
        writeln!(out, "This was a dry run: nothing was sent.")?;
        return Ok(Exit::Success);
    }
    let provider = access.source.provider()?;
    if let Err(error) = show_token(&provider, out).await {
        return advise(&error, access, &transcript, out);
    }
    let Some(url) = url else {
        writeln!(out, "\nAll is well so far; to try the token, add a URL of the API.")?;
        return Ok(Exit::Success);
    };
    writeln!(out)?;
    let reply = match Box::pin(call::send(provider, url.clone(), Redaction { shows: access.show_token }, out)).await {
        Ok(reply) => reply,
        Err(error) => return advise(&error, access, &transcript, out),
    };
    let no_token = || format!("`allow_origins`: add \"{}\", which got no token", url.origin().ascii_serialization());
    let fix = if reply.had_token { reply.advice(&transcript).map(str::to_owned) } else { Some(no_token()) };
    match &fix {
        Some(fix) => writeln!(out, "\nfix: {fix}")?,
        None => writeln!(out, "\nAll is well.")?,
    }
    Ok(Exit::success_if(fix.is_none()))
}

/// Gets a token and shows its properties.
async fn show_token(provider: &TokenProvider, out: &mut impl Write) -> anyhow::Result<()> {
    let bearer = provider.token().await?;
    let expires = bearer.expires_at().map_or_else(|| "not known to expire".to_owned(), expiry);
    writeln!(out, "state    {:?}", provider.status().state)?;
    writeln!(out, "expires  {expires}")?;
    writeln!(out, "scope    {}", bearer.scope().unwrap_or("not named in the response"))?;
    Ok(())
}

fn expiry(time: SystemTime) -> String {
    let left = time.duration_since(Platform::system().now().wall()).unwrap_or_default().as_secs();
    format!("{}, in {} min {} s", httpdate::fmt_http_date(time), left / 60, left % 60)
}

/// Explains an error, with what to change.
fn advise(
    error: &anyhow::Error,
    access: &Access,
    transcript: &Transcript<'_>,
    out: &mut impl Write,
) -> anyhow::Result<Exit> {
    let fixes = match Error::find(error.as_ref()) {
        Some(error) => transcript.advice(error),
        None => vec!["the URL of the API: its scheme, host and port".to_owned()],
    };
    writeln!(out)?;
    failure::explain(error, Some(&access.source), out)?;
    let lines: String = fixes.iter().map(|fix| format!("\nfix: {fix}")).collect();
    writeln!(out, "{lines}")?;
    Ok(failure::exit(error))
}
