//! The mistakes that users make, and what they read.

use std::time::Duration;

use anyhow::{Context, Result};
use bearer_token::{
    TokenProvider, Value as Looked,
    jwt::JwtTemplate,
    oauth::{ClientAuth, JwtBearer, TokenEndpointBuilder},
    platform::Platform,
};

use crate::{
    client::{Client, Credential},
    flows::{USER, grant_audience, grant_template},
    keys::{self, Key},
    profile::Audience,
    run::Run,
    shifted::Shifted,
};

pub(crate) async fn all(run: &Run) -> Result<()> {
    secrets(run).await?;
    methods(run).await?;
    assertions(run).await?;
    requests(run).await?;
    grant_assertions(run).await
}

/// A provider of its own for each mistake, so that no cool-down is shared.
fn built(run: &Run, endpoint: TokenEndpointBuilder) -> Result<TokenProvider> {
    run.provider(endpoint.build()?)
}

async fn secrets(run: &Run) -> Result<()> {
    let wrong = keys::secret(false)?;
    run.markers.extend([wrong.clone()]);
    for (case, id, credential) in [
        ("wrong secret, `client_secret_basic`", "basic", Credential::Basic(wrong.clone())),
        ("wrong secret, `client_secret_post`", "post", Credential::Post(wrong.clone())),
        ("wrong secret, `client_secret_jwt`", "secret-jwt", Credential::SecretJwt(wrong.clone())),
    ] {
        let auth = run.clients.get(id)?.auth_with(&credential)?;
        run.mistake(case, "invalid_client", &["client secret"], built(run, run.credentials(auth))).await;
    }
    for (case, credential) in [
        ("unknown client, `client_secret_basic`", Credential::Basic(wrong.clone())),
        ("unknown client, `client_secret_post`", Credential::Post(wrong)),
        ("unknown client, `private_key_jwt`", Credential::Key(Key::generate(run.profile.algorithm, "unknown-1")?)),
    ] {
        let client = Client { id: "nobody".to_owned(), credential };
        run.mistake(case, "invalid_client", &["client id"], built(run, run.credentials(client.auth()?))).await;
    }
    Ok(())
}

/// The right secret, presented in another way than the server expects.
async fn methods(run: &Run) -> Result<()> {
    let (basic, post, special) =
        (run.clients.get("basic")?, run.clients.get("post")?, run.clients.get("basic-special")?);
    let secret = |client: &Client| client.secret().map(str::to_owned).context("the client has a secret");
    for (case, auth, advice) in [
        ("in the body instead of HTTP Basic", ClientAuth::post(&basic.id, secret(basic)?), "`ClientAuth::basic`"),
        ("by HTTP Basic instead of the body", ClientAuth::basic(&post.id, secret(post)?), "`ClientAuth::post`"),
        (
            "Basic as it is, special characters",
            ClientAuth::basic_raw(&special.id, secret(special)?),
            "`ClientAuth::basic`",
        ),
        (
            "Basic form-encoded, special characters",
            ClientAuth::basic(&special.id, secret(special)?),
            "`ClientAuth::basic_raw`",
        ),
    ] {
        run.mistake(case, "invalid_client", &[advice], built(run, run.credentials(auth))).await;
    }
    let none = run.credentials(ClientAuth::none());
    run.mistake("no client authentication", "invalid_client", &[".client_auth("], built(run, none)).await;
    let public = run.credentials(ClientAuth::public(&basic.id));
    run.mistake("no client secret", "invalid_client", &["client secret"], built(run, public)).await;
    Ok(())
}

async fn assertions(run: &Run) -> Result<()> {
    let client = run.clients.key_client(run.profile.algorithm)?;
    let audience = match run.profile.assertion_audience {
        Audience::TokenUrl => &run.urls.token,
        Audience::Issuer => &run.urls.issuer,
    };
    let right = || -> Result<ClientAuth> { Ok(client.auth()?.audience(audience)) };
    let refused = |case: &'static str, advice: &'static [&'static str], provider| {
        run.mistake(case, "invalid_client", advice, provider)
    };

    let wrong_audience = client.auth()?.audience("https://other.example.com/token");
    let provider = built(run, run.credentials(wrong_audience));
    refused("wrong audience", &["audience", "https://other.example.com/token", "audience_issuer"], provider).await;
    let wrong_audience = client.auth()?.audience_issuer("https://other.example.com");
    let provider = built(run, run.credentials(wrong_audience));
    refused("wrong issuer as the audience", &["audience", "https://other.example.com"], provider).await;

    let slow = Platform::system().with_clock(Shifted::behind_by_minutes(60));
    let source = run.credentials(right()?).max_clock_offset(Duration::ZERO).build()?;
    refused("expired assertion", &["lifetime", "clock"], run.provider_on(source, slow)).await;

    let other = Key::generate(client_algorithm(client)?, &client_key_id(client)?)?;
    let auth = client.auth_with(&Credential::Key(other))?.audience(audience);
    refused("wrong key", &["the key that the server knows"], built(run, run.credentials(auth))).await;

    let other = Key::generate(client_algorithm(client)?, "unknown-1")?;
    let auth = client.auth_with(&Credential::Key(other))?.audience(audience);
    refused("wrong key, with another `kid`", &["the key that the server knows"], built(run, run.credentials(auth)))
        .await;

    // An assertion that another program keeps in a file, and does not replace.
    let template = JwtTemplate::builder(client_key(client)?.signing_key()?)
        .issuer(client.id.as_str())
        .subject(client.id.as_str())
        .audience(audience.as_str())
        .build()?;
    let file = tempfile::NamedTempFile::new()?;
    let assertion = template.sign(&Platform::system()).await?;
    std::fs::write(file.path(), assertion.secret())?;
    run.markers.extend([assertion.secret().to_owned()]);
    let auth = || ClientAuth::assertion_value(&client.id, Looked::file(file.path()));
    let first = built(run, run.credentials(auth()))?;
    if let Err(error) = first.token().await {
        run.note(crate::results::Table::Failures, "replayed `jti`", Err(crate::run::described(&error)));
        return Ok(());
    }
    refused("replayed `jti`", &["more than once"], built(run, run.credentials(auth()))).await;
    Ok(())
}

fn client_key(client: &Client) -> Result<&Key> {
    match &client.credential {
        Credential::Key(key) => Ok(key),
        _ => anyhow::bail!("{} has no key", client.id),
    }
}

fn client_algorithm(client: &Client) -> Result<bearer_token::jwt::Algorithm> {
    Ok(client_key(client)?.algorithm)
}

fn client_key_id(client: &Client) -> Result<String> {
    Ok(client_key(client)?.id.clone())
}

/// Mistakes that are not about the client.
async fn requests(run: &Run) -> Result<()> {
    let client = run.client()?;
    let scope = run.credentials(client.auth()?).scope("admin");
    run.mistake("wrong scope", "invalid_scope", &["scope"], built(run, scope)).await;
    let grant = run.credentials(client.auth()?).grant_type("urn:example:unknown");
    run.mistake("unknown grant type", "unsupported_grant_type", &["grant"], built(run, grant)).await;
    let resource = run.credentials(client.auth()?).parameter("resource", "https://unknown.example.com/");
    run.mistake("unknown resource", "invalid_target", &["`resource`"], built(run, resource)).await;
    Ok(())
}

/// Assertions of the JWT bearer grant.
async fn grant_assertions(run: &Run) -> Result<()> {
    let client = run.client()?;
    let audience = grant_audience(run);
    let endpoint = |template: JwtTemplate| -> Result<TokenEndpointBuilder> {
        Ok(run.endpoint(JwtBearer::new(template)).client_auth(client.auth()?).scope(run.profile.scope))
    };
    let refused = |case: &'static str, advice: &'static [&'static str], provider| {
        run.mistake(case, "invalid_grant", advice, provider)
    };
    let template = grant_template(run, "https://other.example.com/token")?;
    refused("JWT bearer grant: wrong audience", &["audience"], built(run, endpoint(template)?)).await;

    let slow = Platform::system().with_clock(Shifted::behind_by_minutes(60));
    let source = endpoint(grant_template(run, audience)?)?.max_clock_offset(Duration::ZERO).build()?;
    refused("JWT bearer grant: expired assertion", &["lifetime", "clock"], run.provider_on(source, slow)).await;

    let other = Key::generate(run.clients.issuer_key.algorithm, &run.clients.issuer_key.id)?;
    let template = |key: &Key, issuer: &str, subject: &str| -> Result<JwtTemplate> {
        let key = key.signing_key()?;
        Ok(JwtTemplate::builder(key).issuer(issuer).subject(subject).audience(audience).build()?)
    };
    let wrong_key = template(&other, crate::flows::ISSUER, USER)?;
    refused("JWT bearer grant: wrong key", &["key"], built(run, endpoint(wrong_key)?)).await;
    let unknown = template(&run.clients.issuer_key, "https://unknown.example.com", USER)?;
    refused("JWT bearer grant: unknown issuer", &["issuer"], built(run, endpoint(unknown)?)).await;
    Ok(())
}
