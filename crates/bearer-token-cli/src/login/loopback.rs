//! The redirect to this machine, after a person has consented in a browser (RFC 8252 section 7.3).

use std::{borrow::Cow, io, net::Ipv4Addr, time::Duration};

use anyhow::{Context, bail};
use axum::{Router, routing};
use bearer_token::platform::Platform;
use http::{StatusCode, Uri};
use tokio::{net::TcpListener, sync::watch};

const PATH: &str = "/callback";

/// A listener on 127.0.0.1, which no other machine can reach.
pub(super) struct Loopback(TcpListener);

impl Loopback {
    pub(super) async fn bind(port: u16) -> io::Result<Self> {
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map(Loopback)
    }

    pub(super) fn url(&self) -> io::Result<String> {
        Ok(format!("http://{}{PATH}", self.0.local_addr()?))
    }

    /// Waits for the redirect with this state, and returns its code. Every other request gets an error page.
    pub(super) async fn code(self, state: &str, issuer: Option<&str>, patience: Duration) -> anyhow::Result<String> {
        let (sender, mut result) = watch::channel(None);
        let (state, issuer) = (state.to_owned(), issuer.map(str::to_owned));
        let redirected = routing::get(async move |uri: Uri| {
            let Some(code) = code(&uri, &state, issuer.as_deref()) else {
                return (StatusCode::BAD_REQUEST, "This is not the expected redirect.\n");
            };
            // Of several, the first counts.
            sender.send_if_modified(|result| result.is_none() && result.replace(code).is_none());
            (StatusCode::OK, "You may close this window. The terminal says how it ended.\n")
        });
        let mut found = result.clone();
        let found = async move { drop(found.wait_for(Option::is_some).await) };
        let server = axum::serve(self.0, Router::new().route(PATH, redirected)).with_graceful_shutdown(found);
        let platform = Platform::system();
        let over = platform.sleep_until(platform.now().after(patience).monotonic());
        tokio::select! {
            ended = server => ended?,
            () = over => bail!("no redirect arrived within {patience:?}"),
        }
        let code = result.borrow_and_update().clone().flatten();
        code.context("the authorization server redirected without a code: the person or the server refused the login")
    }
}

/// The code of a redirect; `None` if it is another request.
fn code(uri: &Uri, state: &str, issuer: Option<&str>) -> Option<Option<String>> {
    let query = uri.query().unwrap_or_default().as_bytes();
    let value = |name: &str| form_urlencoded::parse(query).find(|(found, _)| found == name).map(|(_, value)| value);
    // RFC 9207 section 2.4: a redirect of another server is not for this login.
    let is_of_issuer = issuer.zip(value("iss")).is_none_or(|(expected, found)| expected == found);
    (value("state")? == state && is_of_issuer).then(|| value("code").map(Cow::into_owned))
}
