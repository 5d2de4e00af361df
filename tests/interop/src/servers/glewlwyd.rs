//! glewlwyd, with its OpenID Connect plugin.

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    flows::USER,
    profile::{Endpoints, Expect, Profile},
    run::Run,
};

pub(crate) const PROFILE: Profile = Profile {
    name: "glewlwyd",
    title: "glewlwyd 2.7.5 (Debian 12), SQLite",
    issuer_path: "/api/oidc",
    endpoints: Endpoints::Metadata("/api/oidc/.well-known/openid-configuration"),
    ready_path: "/config",
    // It refuses most requests with an empty body.
    expectations: &[
        ("`client_secret_basic`, a secret with special characters, form-encoded", Expect::Refused("")),
        ("Basic form-encoded, special characters", Expect::Refused("")),
        ("Basic as it is, special characters", Expect::Absent("it is what this server expects")),
        ("`client_secret_jwt` HS256, audience: issuer", Expect::Refused("")),
        ("`private_key_jwt` RS256, audience: issuer", Expect::Refused("")),
        ("`private_key_jwt` PS256, audience: issuer", Expect::Refused("")),
        ("`private_key_jwt` ES256, audience: issuer", Expect::Refused("")),
        ("`private_key_jwt` ES512, audience: issuer", Expect::Refused("")),
        ("`private_key_jwt` EdDSA, audience: issuer", Expect::Refused("")),
        ("JWT bearer grant (RFC 7523)*", Expect::Refused("")),
        ("JWT bearer grant:*", Expect::Absent("no JWT bearer grant")),
        ("token exchange (RFC 8693)", Expect::Refused("")),
        ("federated client assertion", Expect::Refused("")),
        ("wrong scope", Expect::Refused("scope_invalid")),
        ("unknown grant type", Expect::Refused("")),
        ("wrong *", Expect::Refused("")),
        ("unknown client, *", Expect::Refused("")),
        ("in the body instead of HTTP Basic", Expect::Refused("")),
        ("by HTTP Basic instead of the body", Expect::Refused("")),
        ("no client *", Expect::Refused("")),
        ("expired assertion", Expect::Refused("")),
        ("replayed `jti`", Expect::Refused("")),
        ("refresh token: *", Expect::Refused("")),
    ],
    setup: |run| Box::pin(setup(run)),
    consent: Some(|run| Box::pin(consent(run))),
    ..Profile::USUAL
};

const PASSWORD: &str = "alice's password";

/// Registers the clients and the user, by the admin API. `start` configures the rest.
async fn setup(run: &Run) -> Result<()> {
    // The administrator of the package's database, whose password is known to all.
    let sign_in = json!({ "username": "admin", "password": "password" });
    admin(run, Method::POST, "/auth/", &sign_in).await?;
    admin(run, Method::PUT, "/user/admin", &json!({ "password": run.admin_password })).await?;
    let user =
        json!({ "username": USER, "password": PASSWORD, "name": "Alice", "enabled": true, "scope": ["read", "write"] });
    admin(run, Method::POST, "/user/", &user).await?;
    for client in run.clients.all() {
        let mut registration = client.registration();
        registration["name"] = client.id.as_str().into();
        registration["confidential"] = true.into();
        registration["enabled"] = true.into();
        registration["authorization_type"] = match client.id.as_str() {
            "refresh" => json!(["password", "refresh_token"]),
            _ => json!(["client_credentials"]),
        };
        registration["scope"] = json!(["read", "write"]);
        registration["resource"] = json!([PROFILE.resource]);
        registration["token_endpoint_auth_method"] = json!([registration["token_endpoint_auth_method"]]);
        admin(run, Method::POST, "/client/", &registration).await?;
    }
    Ok(())
}

async fn admin(run: &Run, method: Method, path: &str, body: &Value) -> Result<()> {
    let response = run.http.request(method, format!("{}/api{path}", run.origin)).json(body).send().await?;
    let status = response.status();
    ensure!(status.is_success(), "{path} responded with {status}: {}", response.text().await?);
    Ok(())
}

/// glewlwyd gives refresh tokens for a user's password.
async fn consent(run: &Run) -> Result<String> {
    let client = run.clients.get("refresh")?;
    let form = [("grant_type", "password"), ("username", USER), ("password", PASSWORD), ("scope", run.profile.scope)];
    let request = run.http.post(&run.urls.token).basic_auth(&client.id, client.secret()).form(&form);
    let tokens: Value = request.send().await?.error_for_status()?.json().await?;
    Ok(tokens["refresh_token"].as_str().with_context(|| format!("found no refresh token: {tokens}"))?.to_owned())
}
