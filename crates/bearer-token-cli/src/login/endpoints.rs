//! The endpoints that a login needs: given, or from the metadata of the issuer.

use bearer_token::{
    Error, ErrorKind, Retry,
    transport::{HttpTransport, Transport},
};
use bytes::Bytes;
use http::{Request, StatusCode};
use reqwest::Url;
use serde_json::Value;

use super::Registration;
use crate::{arguments::Login, failure::usage};

pub(super) struct Endpoints {
    pub(super) token: String,
    /// For a code on any device.
    pub(super) device: Option<String>,
    /// For a browser on this machine.
    pub(super) authorization: Option<String>,
    pub(super) issuer: Option<String>,
}

impl Endpoints {
    pub(super) async fn find(login: &Login, registration: &Registration) -> anyhow::Result<Self> {
        let metadata = match &login.issuer {
            Some(issuer) => metadata(issuer).await?,
            None => Value::Null,
        };
        let member = |name: &str| metadata.get(name).and_then(Value::as_str).map(str::to_owned);
        let mut endpoints = Endpoints {
            token: registration.token_url.clone(),
            device: login.device_url.as_ref().map(Url::to_string),
            authorization: login.authorization_url.as_ref().map(Url::to_string),
            issuer: member("issuer"),
        };
        if registration.is_discovered {
            let missing = || {
                usage(
                    "found no `token_endpoint.url`; expected it in the configuration, or `--issuer`, if the server has metadata",
                )
            };
            endpoints.token = member("token_endpoint").ok_or_else(missing)?;
        }
        if login.device {
            endpoints.device = endpoints.device.or_else(|| member("device_authorization_endpoint"));
        } else if endpoints.device.is_none() {
            endpoints.authorization = endpoints.authorization.or_else(|| member("authorization_endpoint"));
        }
        let urls = [Some(&endpoints.token), endpoints.device.as_ref(), endpoints.authorization.as_ref()];
        urls.into_iter().flatten().try_for_each(|url| check(url))?;
        Ok(endpoints)
    }
}

/// Refuses a URL whose requests other machines could read.
fn check(url: &str) -> anyhow::Result<()> {
    let url = Url::parse(url)?;
    let is_local = matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
    if url.scheme() != "https" && !is_local {
        return Err(usage("found an endpoint with `http:`; expected https, except on this machine"));
    }
    Ok(())
}

/// The metadata of an issuer, by RFC 8414 section 3 or else OpenID Connect Discovery.
async fn metadata(issuer: &Url) -> anyhow::Result<Value> {
    check(issuer.as_str())?;
    let failed = |message: &'static str| Error::new(ErrorKind::Response, message);
    let (origin, path) = (issuer.origin().ascii_serialization(), issuer.path().trim_end_matches('/'));
    let http = HttpTransport::new();
    let mut is_down = false;
    for url in [
        format!("{origin}/.well-known/oauth-authorization-server{path}"),
        format!("{origin}{path}/.well-known/openid-configuration"),
    ] {
        let response = http.send(Request::get(url).body(Bytes::new())?).await?;
        if response.status() != StatusCode::OK {
            is_down |= response.status().is_server_error();
            continue;
        }
        let metadata: Value = serde_json::from_slice(response.body())
            .map_err(|_| failed("found something else than JSON where the issuer's metadata is expected"))?;
        // RFC 8414 section 3.3: otherwise it is the metadata of another server.
        let named = metadata.get("issuer").and_then(Value::as_str).unwrap_or_default();
        if named.trim_end_matches('/') != issuer.as_str().trim_end_matches('/') {
            return Err(failed("the metadata has another issuer than `--issuer`; they have to be the same").into());
        }
        return Ok(metadata);
    }
    Err(if is_down {
        Error::new(ErrorKind::Unavailable, "the issuer's server responded with a status of 500 or above; try again later")
    } else {
        failed(
            "found no metadata of the issuer; expected it below `/.well-known/`: check `--issuer`, or leave it out, with \
             `token_endpoint.url` in the configuration, and `--device-url` or `--authorization-url`",
        )
        .with_retry(Retry::AfterChange)
    }
    .into())
}
