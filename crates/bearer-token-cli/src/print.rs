//! Prints a token, alone or in the form that another program wants.

use std::{
    env,
    io::{self, IsTerminal, Write},
};

use bearer_token::{Authorized, Bearer, Destination, Error, TokenProvider};
use http::HeaderMap;
use reqwest::Url;
use serde_json::{Value, json};

use crate::{
    arguments::Access,
    failure::{Exit, usage},
};

pub(crate) async fn token(access: &Access, out: &mut impl Write) -> anyhow::Result<Exit> {
    let bearer = bearer(access).await?;
    writeln!(out, "{}", bearer.secret())?;
    Ok(Exit::Success)
}

/// Prints a line for each header, as `curl -H @-` reads them.
pub(crate) async fn headers(access: &Access, to: Option<&Url>, out: &mut impl Write) -> anyhow::Result<Exit> {
    refuse_terminal(access)?;
    let provider = access.source.provider()?;
    let mut headers = HeaderMap::new();
    match to {
        Some(url) => {
            headers = authorized(&provider, url).await?;
            if headers.is_empty() {
                let origin = url.origin().ascii_serialization();
                return Err(usage(&format!(
                    "the configuration does not allow this origin; add \"{origin}\" to `allow_origins`"
                )));
            }
        }
        None => drop(provider.token().await?.attach(&mut headers)),
    }
    for (name, value) in &headers {
        out.write_all(&[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\n"].concat())?;
    }
    Ok(Exit::Success)
}

/// The API group of exec credentials.
const GROUP: &str = "client.authentication.k8s.io/";

/// Prints an `ExecCredential` of `client.authentication.k8s.io`, in the version that the client asks for.
pub(crate) async fn exec_credential(access: &Access, out: &mut impl Write) -> anyhow::Result<Exit> {
    let bearer = bearer(access).await?;
    let info = env::var("KUBERNETES_EXEC_INFO").ok().and_then(|info| serde_json::from_str::<Value>(&info).ok());
    let version = info.as_ref().and_then(|info| info.get("apiVersion")?.as_str());
    let version = version.filter(|version| version.starts_with(GROUP)).unwrap_or("client.authentication.k8s.io/v1");
    let mut status = json!({ "token": bearer.secret() });
    // Without it, the client asks again only after a 401.
    if let Some(time) = bearer.expires_at() {
        status["expirationTimestamp"] = humantime::format_rfc3339_seconds(time).to_string().into();
    }
    writeln!(out, "{}", json!({ "apiVersion": version, "kind": "ExecCredential", "status": status }))?;
    Ok(Exit::Success)
}

/// The headers of a request to this URL; none if its origin gets no token.
pub(crate) async fn authorized(provider: &TokenProvider, url: &Url) -> Result<HeaderMap, Error> {
    let (to, mut headers) = (Destination::new(url.scheme(), url.authority()), HeaderMap::new());
    if matches!(provider.authorize_headers(to, &mut headers)?, Authorized::NotReady) {
        provider.token().await?.attach(&mut headers);
    }
    Ok(headers)
}

async fn bearer(access: &Access) -> anyhow::Result<Bearer> {
    refuse_terminal(access)?;
    Ok(access.source.provider()?.token().await?)
}

fn refuse_terminal(access: &Access) -> anyhow::Result<()> {
    if io::stdout().is_terminal() && !access.show_token {
        return Err(usage("the output is a terminal, which may keep the token; use a pipe, or add --show-token"));
    }
    Ok(())
}
