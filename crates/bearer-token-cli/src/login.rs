//! Gets the first refresh token: a person consents on any device (RFC 8628), or in a browser on this machine
//! (RFC 8252).

use std::{io::Write, time::Duration};

use anyhow::Context;
use bearer_token::platform::Platform;
use oauth2::{
    AuthUrl, AuthorizationCode, ClientId, CsrfToken, DeviceAuthorizationUrl, PkceCodeChallenge, RedirectUrl, Scope,
    StandardDeviceAuthorizationResponse, TokenResponse, TokenUrl,
    basic::{BasicClient, BasicTokenResponse},
};

use self::{endpoints::Endpoints, loopback::Loopback, registration::Registration};
use crate::{
    arguments::Login,
    failure::{Exit, usage},
};

mod endpoints;
mod loopback;
mod registration;

/// The time in which a person has to consent.
const PATIENCE: Duration = Duration::from_secs(600);

pub(crate) async fn run(login: &Login, err: &mut impl Write) -> anyhow::Result<Exit> {
    let grant = login.source.load()?.refresh_token()?;
    let registration = Registration::read(&login.source).await?;
    let endpoints = Endpoints::find(login, &registration).await?;
    let client_id = login.client_id.clone().or_else(|| registration.client_id.clone());
    let client_id =
        client_id.ok_or_else(|| usage("the configuration does not send the client's id; add `--client-id`"))?;
    let client = BasicClient::new(ClientId::new(client_id));
    let client = client.set_token_uri(TokenUrl::new(endpoints.token.clone())?);
    let scopes = login.scope.as_deref().or(registration.scope.as_deref()).unwrap_or_default();
    let scopes = scopes.split_whitespace().map(|scope| Scope::new(scope.to_owned()));
    // Each request identifies the client as the configuration says, with a new assertion if there is one.
    let http = |request| registration::send(&login.source, request);
    let response: BasicTokenResponse = match (&endpoints.device, &endpoints.authorization) {
        (Some(url), _) => {
            let client = client.set_device_authorization_url(DeviceAuthorizationUrl::new(url.clone())?);
            let request = client.exchange_device_code().add_scopes(scopes);
            let request =
                login.parameters.iter().fold(request, |request, (name, value)| request.add_extra_param(name, value));
            let details: StandardDeviceAuthorizationResponse =
                request.request_async(&http).await.map_err(registration::failed)?;
            let (page, code) = (details.verification_uri(), details.user_code().secret().escape_debug());
            writeln!(err, "Open this page on any device, and enter the code {code}:\n\n  {}\n", page.as_str())?;
            let wait = |time| async move {
                let platform = Platform::system();
                platform.sleep_until(platform.now().after(time).monotonic()).await;
            };
            let request = client.exchange_device_access_token(&details);
            request.request_async(&http, wait, Some(PATIENCE)).await.map_err(registration::failed)?
        }
        (None, Some(url)) => {
            let loopback = Loopback::bind(login.port).await.context("no port on 127.0.0.1 for the redirect")?;
            let client = client.set_auth_uri(AuthUrl::new(url.clone())?);
            let client = client.set_redirect_uri(RedirectUrl::new(loopback.url()?)?);
            let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
            let request = client.authorize_url(CsrfToken::new_random).add_scopes(scopes).set_pkce_challenge(challenge);
            let (page, state) =
                login.parameters.iter().fold(request, |r, (name, value)| r.add_extra_param(name, value)).url();
            writeln!(err, "Open this page in a browser on this machine:\n\n  {page}\n")?;
            let code = loopback.code(state.secret(), endpoints.issuer.as_deref(), PATIENCE).await?;
            let request = client.exchange_code(AuthorizationCode::new(code)).set_pkce_verifier(verifier);
            request.request_async(&http).await.map_err(registration::failed)?
        }
        (None, None) => return Err(usage("the issuer's metadata has no such endpoint; give its URL")),
    };
    let refresh_token = response.refresh_token().context(
        "the server issued no refresh token: ask for the scope `offline_access`, or add what its documentation says, \
         such as `--parameter access_type=offline`",
    )?;
    grant.replace(&Platform::system(), refresh_token.secret()).await?;
    writeln!(err, "The refresh token is stored. `bearer-token check` tries it.")?;
    Ok(Exit::Success)
}
