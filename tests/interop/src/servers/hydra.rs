//! Ory Hydra.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::{Response, header};
use serde_json::{Value, json};

use crate::{
    flows::{ISSUER, USER},
    profile::{Expect, Profile},
    run::Run,
};

pub(crate) const PROFILE: Profile = Profile {
    name: "hydra",
    title: "Ory Hydra 2.3.0 (Go module), SQLite",
    admin_introspection: "/admin/oauth2/introspect",
    ready_path: "/health/ready",
    start_limit: Duration::from_secs(60),
    expectations: &[
        ("`client_secret_jwt`*", Expect::Absent("no such clients")),
        ("wrong secret, `client_secret_jwt`", Expect::Absent("no such clients")),
        ("`private_key_jwt` EdDSA*", Expect::Absent("no such clients")),
        ("`private_key_jwt` RS256, audience: issuer", Expect::Refused("invalid_client")),
        ("`private_key_jwt` PS256, audience: issuer", Expect::Refused("invalid_client")),
        ("`private_key_jwt` ES256, audience: issuer", Expect::Refused("invalid_client")),
        ("`private_key_jwt` ES512, audience: issuer", Expect::Refused("invalid_client")),
        ("JWT bearer grant (RFC 7523), audience: issuer", Expect::Refused("invalid_grant")),
        ("`client_secret_basic`, a secret with special characters, as it is", Expect::Refused("invalid_request")),
        ("Basic as it is, special characters", Expect::Refused("invalid_request")),
        ("Basic form-encoded, special characters", Expect::Absent("it is what this server expects")),
        ("resource indicator (RFC 8707)", Expect::Unchecked),
        ("unknown resource", Expect::Unchecked),
        ("token exchange (RFC 8693)", Expect::Refused("invalid_request")),
        ("federated client assertion", Expect::Refused("invalid_client")),
        ("no client authentication", Expect::Refused("invalid_request")),
        ("unknown grant type", Expect::Refused("invalid_request")),
        ("wrong key, with another `kid`", Expect::Refused("invalid_request")),
        ("replayed `jti`", Expect::Refused("jti_known")),
        // It responds with 500 to an expired client assertion.
        ("expired assertion", Expect::Fault),
        ("a clock that is 30 minutes behind*", Expect::Fault),
    ],
    setup: |run| Box::pin(setup(run)),
    consent: Some(|run| Box::pin(consent(run))),
    ..Profile::USUAL
};

const CALLBACK: &str = "http://127.0.0.1:1/callback";

fn admin(run: &Run, path: &str) -> String {
    format!("http://127.0.0.1:{}/admin{path}", run.admin_port)
}

async fn success(response: Response) -> Result<Value> {
    let (status, url) = (response.status(), response.url().to_string());
    let text = response.text().await?;
    ensure!(status.is_success(), "{url} responded with {status}: {text}");
    Ok(serde_json::from_str(&text).unwrap_or_default())
}

/// Registers the clients and the issuer of assertions, by the admin API.
async fn setup(run: &Run) -> Result<()> {
    for client in run.clients.all() {
        let mut registration = client.registration();
        // Hydra knows neither HMAC nor Ed25519 for clients, and refuses such a registration.
        if ["secret-jwt", "key-eddsa"].contains(&client.id.as_str()) {
            continue;
        }
        registration["scope"] = "offline_access read write".into();
        registration["grant_types"] = match client.id.as_str() {
            "refresh" => json!(["authorization_code", "refresh_token", "client_credentials"]),
            _ => json!(["client_credentials", "urn:ietf:params:oauth:grant-type:jwt-bearer"]),
        };
        registration["redirect_uris"] = json!([CALLBACK]);
        registration["audience"] = json!([PROFILE.resource]);
        success(run.http.post(admin(run, "/clients")).json(&registration).send().await?).await?;
    }
    let trusted = json!({
        "issuer": ISSUER, "subject": USER, "scope": ["read", "write"], "jwk": run.clients.issuer_key.jwk,
        "expires_at": "2100-01-01T00:00:00Z",
    });
    success(run.http.post(admin(run, "/trust/grants/jwt-bearer/issuers")).json(&trusted).send().await?).await?;
    Ok(())
}

/// Signs in and consents, as Hydra's login and consent application does by the admin API.
async fn consent(run: &Run) -> Result<String> {
    let client = run.clients.get("refresh")?;
    let authorization = run.urls.authorization.as_deref().context("there is no authorization endpoint")?;
    let query = [
        ("client_id", client.id.as_str()),
        ("response_type", "code"),
        ("redirect_uri", CALLBACK),
        ("scope", "offline_access read write"),
        ("state", "a state of more than eight characters"),
    ];
    let mut next = redirect(&run.http.get(authorization).query(&query).send().await?)?;
    for (part, accept) in [
        ("login", json!({ "subject": USER })),
        ("consent", json!({ "grant_scope": ["offline_access", "read", "write"] })),
    ] {
        let name = format!("{part}_challenge");
        let challenge = parameter(&next, &name)?;
        let url = admin(run, &format!("/oauth2/auth/requests/{part}/accept"));
        let accepted = run.http.put(url).query(&[(name, challenge)]).json(&accept).send().await?;
        let accepted = success(accepted).await?;
        let to = accepted["redirect_to"].as_str().context("found no redirect")?.to_owned();
        next = redirect(&run.http.get(to).send().await?)?;
    }
    let code = parameter(&next, "code")?;
    let form = [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", CALLBACK)];
    let request = run.http.post(&run.urls.token).basic_auth(&client.id, client.secret()).form(&form);
    let tokens = success(request.send().await?).await?;
    Ok(tokens["refresh_token"].as_str().context("found no refresh token")?.to_owned())
}

fn redirect(response: &Response) -> Result<String> {
    let location = response.headers().get(header::LOCATION).context("found no redirect")?;
    Ok(location.to_str()?.to_owned())
}

fn parameter(url: &str, name: &str) -> Result<String> {
    let url = reqwest::Url::parse(url)?;
    let found = url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    found.with_context(|| format!("found no {name} in {url}"))
}
