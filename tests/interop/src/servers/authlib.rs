//! Authlib.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{
    flows::USER,
    profile::{Endpoints, Expect, Profile},
    run::Run,
};

pub(crate) const PROFILE: Profile = Profile {
    name: "authlib",
    title: "Authlib 1.9.10 with Flask (PyPI)",
    endpoints: Endpoints::Paths { token: "/token", introspection: "/introspect", revocation: "/revoke", keys: None },
    ready_path: "/ready",
    expectations: &[
        ("discovery of the token endpoint", Expect::Absent("no metadata")),
        // It verifies the algorithms that its JOSE library recommends.
        ("`private_key_jwt` PS256*", Expect::Refused("invalid_client")),
        ("`private_key_jwt` ES512*", Expect::Refused("invalid_client")),
        ("`private_key_jwt` EdDSA*", Expect::Refused("invalid_client")),
        ("Basic as it is, special characters", Expect::Unchecked),
        ("Basic form-encoded, special characters", Expect::Absent("it is what this server expects")),
        ("resource indicator (RFC 8707)", Expect::Unchecked),
        ("unknown resource", Expect::Unchecked),
        ("token exchange (RFC 8693)", Expect::Refused("unsupported_grant_type")),
        ("federated client assertion", Expect::Refused("invalid_client")),
        ("refresh token: its successor, after the reuse", Expect::Unchecked),
    ],
    setup: |_| Box::pin(async { Ok(()) }),
    consent: Some(|run| Box::pin(consent(run))),
    ..Profile::USUAL
};

/// The server gives refresh tokens for a user's password.
async fn consent(run: &Run) -> Result<String> {
    let client = run.clients.get("refresh")?;
    let form =
        [("grant_type", "password"), ("username", USER), ("password", "alice's password"), ("scope", "read write")];
    let request = run.http.post(&run.urls.token).basic_auth(&client.id, client.secret()).form(&form);
    let tokens: Value = request.send().await?.json().await?;
    Ok(tokens["refresh_token"].as_str().with_context(|| format!("found no refresh token: {tokens}"))?.to_owned())
}
