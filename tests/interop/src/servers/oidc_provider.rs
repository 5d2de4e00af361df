//! oidc-provider.

use anyhow::{Context, Result};
use reqwest::header;

use crate::{
    profile::{Expect, Profile},
    run::Run,
};

pub(crate) const PROFILE: Profile = Profile {
    name: "oidc-provider",
    title: "oidc-provider 9.13.3 (npm), Node 20",
    expectations: &[
        ("JWT bearer grant (RFC 7523)*", Expect::Refused("unsupported_grant_type")),
        ("JWT bearer grant:*", Expect::Absent("no JWT bearer grant")),
        ("`client_secret_basic`, a secret with special characters, as it is", Expect::Refused("invalid_request")),
        ("Basic as it is, special characters", Expect::Refused("invalid_request")),
        ("Basic form-encoded, special characters", Expect::Absent("it is what this server expects")),
        ("in the body instead of HTTP Basic", Expect::Unchecked),
        ("by HTTP Basic instead of the body", Expect::Unchecked),
        ("no client authentication", Expect::Refused("invalid_request")),
        // It grants the part of the scope that it knows.
        ("wrong scope", Expect::Unchecked),
        ("token exchange (RFC 8693)", Expect::Refused("unsupported_grant_type")),
        ("federated client assertion", Expect::Refused("invalid_request")),
    ],
    consent: Some(|run| Box::pin(consent(run))),
    ..Profile::USUAL
};

/// Signs in and consents, at the pages that oidc-provider has for development.
async fn consent(run: &Run) -> Result<String> {
    const CALLBACK: &str = "http://127.0.0.1:1/callback";
    let client = run.clients.get("refresh")?;
    let authorization = run.urls.authorization.as_deref().context("there is no authorization endpoint")?;
    let query = [
        ("client_id", client.id.as_str()),
        ("response_type", "code"),
        ("redirect_uri", CALLBACK),
        ("scope", "openid offline_access read write"),
        ("prompt", "consent"),
    ];
    let mut response = run.http.get(authorization).query(&query).send().await?;
    let sign_in = [("prompt", "login"), ("login", "alice"), ("password", "any")];
    let agree = [("prompt", "consent")];
    let mut forms = [&sign_in[..], &agree[..]].into_iter();
    let code = loop {
        let next = response.headers().get(header::LOCATION).and_then(|location| location.to_str().ok());
        response = match next.map(str::to_owned) {
            Some(next) if next.starts_with(CALLBACK) => {
                let url = reqwest::Url::parse(&next)?;
                let code = url.query_pairs().find(|(name, _)| name == "code").map(|(_, value)| value.into_owned());
                break code.with_context(|| format!("the callback has no code: {next}"))?;
            }
            Some(next) => {
                let url = response.url().join(&next)?;
                run.http.get(url).send().await?
            }
            None => {
                let url = response.url().clone();
                let form = forms.next().with_context(|| format!("the page at {url} asks for more"))?;
                run.http.post(url).form(form).send().await?
            }
        };
    };
    let form = [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", CALLBACK)];
    let request = run.http.post(&run.urls.token).basic_auth(&client.id, client.secret()).form(&form);
    let tokens: serde_json::Value = request.send().await?.json().await?;
    Ok(tokens["refresh_token"].as_str().with_context(|| format!("found no refresh token: {tokens}"))?.to_owned())
}
