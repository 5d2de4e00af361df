//! The ways to a token.

use anyhow::{Result, ensure};
use bearer_token::{
    jwt::{JwtTemplate, SelfSigned},
    oauth::{ClientAuth, ClientCredentials, JwtBearer, TokenEndpoint, TokenExchange, TokenType},
    platform::Platform,
};
use reqwest_bearer::ClientTransport;
use serde_json::Value;

use crate::{
    client::{ALGORITHMS, Client},
    profile::{Audience, Expect},
    run::Run,
    shifted::Shifted,
};

/// The subject of assertions in the JWT bearer grant: the user who is known everywhere.
pub(crate) const USER: &str = "alice";
/// The client that another issuer's assertions identify.
pub(crate) const FEDERATED: &str = "federated";
/// The issuer of these assertions, and of federated ones.
pub(crate) const ISSUER: &str = "https://issuer.example.com";

pub(crate) async fn all(run: &Run) -> Result<()> {
    client_authentication(run).await?;
    discovery(run).await?;
    transports(run).await?;
    resource_indicators(run).await?;
    clock(run).await?;
    jwt_bearer(run).await?;
    token_exchange(run).await?;
    federated(run).await
}

/// The API must see the client that asked.
fn is(client: &Client) -> impl Fn(&Value) -> Result<()> {
    let id = client.id.clone();
    move |about| {
        ensure!(about["client"] == id.as_str(), "the API sees another client than {id}: {about}");
        Ok(())
    }
}

async fn client_authentication(run: &Run) -> Result<()> {
    for (case, id) in [
        ("`client_secret_basic`", "basic"),
        ("`client_secret_basic`, a secret with special characters, form-encoded", "basic-special"),
        ("`client_secret_post`", "post"),
    ] {
        let client = run.clients.get(id)?;
        run.flow(case, Ok(run.credentials(client.auth()?).build()?), is(client)).await;
    }
    let special = run.clients.get("basic-special")?;
    let raw = ClientAuth::basic_raw(&special.id, special.secret().unwrap_or_default());
    let case = "`client_secret_basic`, a secret with special characters, as it is";
    run.flow(case, Ok(run.credentials(raw).build()?), is(special)).await;

    let secret_jwt = run.clients.get("secret-jwt")?;
    assertions(run, "`client_secret_jwt` HS256", secret_jwt).await?;
    for algorithm in ALGORITHMS {
        let client = run.clients.key_client(algorithm)?;
        assertions(run, &format!("`private_key_jwt` {algorithm:?}"), client).await?;
    }
    Ok(())
}

/// The two audiences of assertions.
async fn assertions(run: &Run, name: &str, client: &Client) -> Result<()> {
    let by_url = run.credentials(client.auth()?).build()?;
    run.flow(&format!("{name}, audience: token URL"), Ok(by_url), is(client)).await;
    let by_issuer = run.credentials(client.auth()?).issuer(&run.urls.issuer).build()?;
    run.flow(&format!("{name}, audience: issuer"), Ok(by_issuer), is(client)).await;
    Ok(())
}

async fn discovery(run: &Run) -> Result<()> {
    let client = run.client()?;
    let source = TokenEndpoint::discover(&run.urls.issuer, ClientCredentials::new())
        .client_auth(client.auth()?)
        .scope(run.profile.scope)
        .build()?;
    run.flow("discovery of the token endpoint", Ok(source), is(client)).await;
    Ok(())
}

/// Token requests through the caller's own HTTP client.
async fn transports(run: &Run) -> Result<()> {
    let client = run.client()?;
    let http = reqwest::Client::builder().no_proxy().build()?;
    let source = run.credentials(client.auth()?).transport(ClientTransport::new(http)).build()?;
    run.flow("token requests through a reqwest client", Ok(source), is(client)).await;
    Ok(())
}

async fn resource_indicators(run: &Run) -> Result<()> {
    let client = run.client()?;
    let resource = run.profile.resource;
    let source = run.credentials(client.auth()?).parameter("resource", resource).build()?;
    let audience = |about: &Value| {
        let audience = &about["audience"];
        let is_it =
            audience == resource || audience.as_array().is_some_and(|all| all.iter().any(|one| one == resource));
        ensure!(is_it, "the token is not for the resource: {about}");
        Ok(())
    };
    run.flow("resource indicator (RFC 8707)", Ok(source), audience).await;
    Ok(())
}

/// A clock that is half an hour behind: the server's `Date` corrects it.
async fn clock(run: &Run) -> Result<()> {
    let client = run.clients.key_client(run.profile.algorithm)?;
    let mut endpoint = run.credentials(client.auth()?);
    if run.profile.assertion_audience == Audience::Issuer {
        endpoint = endpoint.issuer(&run.urls.issuer);
    }
    let source = endpoint.build()?;
    let provider = run.provider_on(source, Platform::system().with_clock(Shifted::behind_by_minutes(30)));
    run.flow_of("a clock that is 30 minutes behind, corrected by the server's `Date`", provider, is(client)).await;
    Ok(())
}

/// The template of assertions for the JWT bearer grant, for this audience.
pub(crate) fn grant_template(run: &Run, audience: &str) -> Result<JwtTemplate> {
    let key = run.clients.issuer_key.signing_key()?;
    Ok(JwtTemplate::builder(key).issuer(ISSUER).subject(USER).audience(audience).build()?)
}

pub(crate) fn grant_audience(run: &Run) -> &str {
    match run.profile.assertion_audience {
        Audience::TokenUrl => &run.urls.token,
        Audience::Issuer => &run.urls.issuer,
    }
}

async fn jwt_bearer(run: &Run) -> Result<()> {
    let client = run.client()?;
    for (case, audience) in [
        ("JWT bearer grant (RFC 7523), audience: token URL", &run.urls.token),
        ("JWT bearer grant (RFC 7523), audience: issuer", &run.urls.issuer),
    ] {
        let grant = JwtBearer::new(grant_template(run, audience)?);
        let source = run.endpoint(grant).client_auth(client.auth()?).scope(run.profile.scope).build()?;
        run.flow(case, Ok(source), |_| Ok(())).await;
    }
    Ok(())
}

async fn token_exchange(run: &Run) -> Result<()> {
    let client = run.client()?;
    let subject = run.provider(run.credentials(client.auth()?).build()?)?;
    let grant = TokenExchange::new(subject, TokenType::ACCESS_TOKEN).requested_token_type(TokenType::ACCESS_TOKEN);
    let source = run.endpoint(grant).client_auth(client.auth()?).build()?;
    run.flow("token exchange (RFC 8693)", Ok(source), |_| Ok(())).await;
    Ok(())
}

/// Assertions of another issuer identify the client. Without a federation, the server does not know that issuer.
async fn federated(run: &Run) -> Result<()> {
    const CASE: &str = "federated client assertion";
    let client = Client { id: FEDERATED.to_owned(), credential: run.client()?.credential.clone() };
    if let Expect::Absent(_) = run.profile.expect(CASE, Expect::Token) {
        run.flow(CASE, Err(anyhow::anyhow!("not asked")), |_| Ok(())).await;
        return Ok(());
    }
    let auth = ClientAuth::assertion_from(&client.id, federation(run)?);
    run.flow(CASE, Ok(run.credentials(auth).build()?), is(&client)).await;
    Ok(())
}

/// The other issuer, as a provider of self-signed assertions that are made anew for each request.
pub(crate) fn federation(run: &Run) -> Result<SelfSigned> {
    let key = run.clients.issuer_key.signing_key()?;
    let template = JwtTemplate::builder(key).issuer(ISSUER).subject(USER).audience(run.urls.issuer.as_str()).build()?;
    Ok(SelfSigned::new(template))
}
