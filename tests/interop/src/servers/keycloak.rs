//! Keycloak.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::{
    client::{Client, Credential},
    flows::{FEDERATED, ISSUER, USER},
    profile::{Audience, Endpoints, Expect, Profile},
    run::Run,
};

pub(crate) const PROFILE: Profile = Profile {
    name: "keycloak",
    title: "Keycloak 26.7.3 (Maven Central: keycloak-quarkus-dist), Java 17",
    issuer_path: "/realms/interop",
    endpoints: Endpoints::Metadata("/realms/interop/.well-known/openid-configuration"),
    ready_path: "/realms/master/.well-known/openid-configuration",
    start_limit: Duration::from_secs(120),
    lifetime: 5,
    expectations: &[
        ("`client_secret_basic`, a secret with special characters, as it is", Expect::Refused("unauthorized_client")),
        ("Basic as it is, special characters", Expect::Refused("unauthorized_client")),
        ("Basic form-encoded, special characters", Expect::Absent("it is what this server expects")),
        ("wrong secret, *", Expect::Refused("unauthorized_client")),
        ("no client secret", Expect::Refused("unauthorized_client")),
        ("in the body instead of HTTP Basic", Expect::Unchecked),
        ("by HTTP Basic instead of the body", Expect::Unchecked),
        // Its responses have no `Date`.
        ("a clock that is 30 minutes behind*", Expect::Refused("invalid_client")),
    ],
    setup: |run| Box::pin(setup(run)),
    consent: Some(|run| Box::pin(consent(run))),
    assertion_audience: Audience::Issuer,
    ..Profile::USUAL
};

/// Makes the realm, its scopes, clients, user and identity provider, by the admin API.
async fn setup(run: &Run) -> Result<()> {
    let admin = Admin::sign_in(run).await?;
    admin
        .post(
            "/admin/realms",
            &json!({
                "realm": "interop", "enabled": true, "sslRequired": "none", "accessTokenLifespan": run.profile.lifetime,
                "revokeRefreshToken": true, "refreshTokenMaxReuse": 0,
            }),
        )
        .await?;
    for scope in ["read", "write"] {
        let attributes = json!({ "include.in.token.scope": "true" });
        let scope = json!({ "name": scope, "protocol": "openid-connect", "attributes": attributes });
        admin.post("/admin/realms/interop/client-scopes", &scope).await?;
    }
    let keys = json!({ "keys": [run.clients.issuer_key.jwk] }).to_string();
    // The issuer of assertions for the JWT bearer grant, and of federated client assertions.
    admin
        .post(
            "/admin/realms/interop/identity-provider/instances",
            &json!({
                "alias": "issuer", "providerId": "oidc", "enabled": true,
                "config": {
                    "issuer": ISSUER, "clientId": "interop", "clientSecret": "unused", "validateSignature": "true",
                    "authorizationUrl": format!("{ISSUER}/authorize"), "tokenUrl": format!("{ISSUER}/token"),
                    "useJwksUrl": "false", "publicKeySignatureVerifier": keys, "supportsClientAssertions": "true",
                    "jwtAuthorizationGrantEnabled": "true",
                },
            }),
        )
        .await?;
    admin
        .post(
            "/admin/realms/interop/users",
            &json!({
                "username": USER, "enabled": true, "emailVerified": true, "email": "alice@example.com",
                "firstName": "Alice", "lastName": "Example",
                "credentials": [{ "type": "password", "value": "alice's password", "temporary": false }],
                "federatedIdentities": [{ "identityProvider": "issuer", "userId": USER, "userName": USER }],
            }),
        )
        .await?;
    for client in run.clients.all() {
        admin.post("/admin/realms/interop/clients", &registration(client)).await?;
    }
    let mut federated = base(FEDERATED);
    federated["clientAuthenticatorType"] = "federated-jwt".into();
    federated["attributes"] = json!({ "jwt.credential.issuer": "issuer", "jwt.credential.sub": USER });
    admin.post("/admin/realms/interop/clients", &federated).await
}

fn base(id: &str) -> Value {
    json!({
        "clientId": id, "enabled": true, "protocol": "openid-connect", "publicClient": false,
        "serviceAccountsEnabled": true, "standardFlowEnabled": false, "directAccessGrantsEnabled": id == "refresh",
        // Introspection is for the audience of a token only.
        "protocolMappers": [{
            "name": "api", "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper",
            "config": { "included.client.audience": "api", "access.token.claim": "true", "introspection.token.claim": "true" },
        }],
        "defaultClientScopes": ["basic", "roles"], "optionalClientScopes": ["read", "write"],
    })
}

fn registration(client: &Client) -> Value {
    let mut registration = base(&client.id);
    let mut attributes = json!({
        "standard.token.exchange.enabled": "true", "oauth2.jwt.authorization.grant.enabled": "true",
        "oauth2.jwt.authorization.grant.idp": "issuer",
    });
    let (authenticator, algorithm) = match &client.credential {
        Credential::Basic(_) | Credential::Post(_) => ("client-secret", None),
        Credential::SecretJwt(_) => ("client-secret-jwt", Some("HS256".to_owned())),
        Credential::Key(key) => {
            attributes["use.jwks.string"] = "true".into();
            attributes["jwks.string"] = json!({ "keys": [key.jwk] }).to_string().into();
            ("client-jwt", Some(format!("{:?}", key.algorithm)))
        }
    };
    registration["clientAuthenticatorType"] = authenticator.into();
    if let Some(secret) = client.secret() {
        registration["secret"] = secret.into();
    }
    if let Some(algorithm) = algorithm {
        attributes["token.endpoint.auth.signing.alg"] = algorithm.into();
    }
    // Its preview of resource indicators fails, with status 500, for responses without a refresh token.
    if client.id == PROFILE.client {
        attributes["client_credentials.use_refresh_token"] = "true".into();
    }
    if client.id == "api" {
        attributes["resource_url"] = PROFILE.resource.into();
    }
    registration["attributes"] = attributes;
    registration
}

/// The admin API.
struct Admin<'a> {
    run: &'a Run,
    token: String,
}

impl<'a> Admin<'a> {
    async fn sign_in(run: &'a Run) -> Result<Self> {
        let url = format!("{}/realms/master/protocol/openid-connect/token", run.origin);
        let password = run.admin_password.as_str();
        let form =
            [("grant_type", "password"), ("client_id", "admin-cli"), ("username", "admin"), ("password", password)];
        let token: Value = run.http.post(url).form(&form).send().await?.json().await?;
        let token = token["access_token"].as_str().with_context(|| format!("cannot sign in: {token}"))?.to_owned();
        Ok(Admin { run, token })
    }

    async fn post(&self, path: &str, body: &Value) -> Result<()> {
        let request = self.run.http.post(format!("{}{path}", self.run.origin)).bearer_auth(&self.token).json(body);
        let response = request.send().await?;
        let status = response.status();
        ensure!(status.is_success(), "{path} responded with {status}: {}; to {body}", response.text().await?);
        Ok(())
    }
}

/// Keycloak gives refresh tokens for a user's password.
async fn consent(run: &Run) -> Result<String> {
    let client = run.clients.get("refresh")?;
    let form = [("grant_type", "password"), ("username", USER), ("password", "alice's password")];
    let request = run.http.post(&run.urls.token).basic_auth(&client.id, client.secret()).form(&form);
    let tokens: Value = request.send().await?.json().await?;
    Ok(tokens["refresh_token"].as_str().with_context(|| format!("found no refresh token: {tokens}"))?.to_owned())
}
