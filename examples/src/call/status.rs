//! The state of the provider.

use std::{io::Write, time::SystemTime};

use bearer_token::{TokenProvider, platform::Platform};

use super::redaction::Redaction;

/// Gets a token and shows its properties.
pub(super) async fn show(provider: &TokenProvider, redaction: Redaction, out: &mut impl Write) -> anyhow::Result<()> {
    let bearer = provider.token().await?;
    let expires = bearer.expires_at().map_or_else(|| "not known to expire".to_owned(), expiry);
    writeln!(out, "state    {:?}", provider.status().state)?;
    writeln!(out, "expires  {expires}")?;
    writeln!(out, "scope    {}", bearer.scope().unwrap_or("not named in the response"))?;
    writeln!(out, "token    {}", redaction.token(bearer.secret()))?;
    Ok(())
}

fn expiry(time: SystemTime) -> String {
    let left = time.duration_since(Platform::system().now().wall()).unwrap_or_default().as_secs();
    format!("{}, in {} min {} s", httpdate::fmt_http_date(time), left / 60, left % 60)
}
