//! Three ways to a bearer token, each a source with a provider in front.

use bearer_token::{
    Error, TokenProvider,
    jwt::{Algorithm, JwtTemplate, SelfSigned, SigningKey},
    oauth::{ClientAuth, ClientCredentials, JwtBearer, TokenEndpoint},
};
use bearer_token_testing::TestKey;

use crate::stage::{CLIENT, ISSUER, Stage};

/// A name, a builder of its provider, and the number of token requests for any number of callers.
pub(crate) type Way = (&'static str, fn(&Stage) -> Result<TokenProvider, Error>, u64);

pub(crate) const ALL: [Way; 3] =
    [("self-signed", self_signed, 0), ("jwt-bearer", jwt_bearer, 1), ("client_credentials", client_credentials, 1)];

/// A JWT that we sign ourselves is the bearer token: no token request at all.
pub(crate) fn self_signed(stage: &Stage) -> Result<TokenProvider, Error> {
    let key = SigningKey::from_pem(Algorithm::ES256, TestKey::es256()?.private_pem())?;
    let template = JwtTemplate::builder(key).issuer(ISSUER).audience(stage.server.api_url()).build()?;
    provider(stage, SelfSigned::new(template))
}

/// A JWT that we sign is exchanged for an access token (RFC 7523 section 2.1).
pub(crate) fn jwt_bearer(stage: &Stage) -> Result<TokenProvider, Error> {
    let key = SigningKey::from_pem(Algorithm::ES256, TestKey::es256()?.private_pem())?;
    let assertion = JwtTemplate::builder(key)
        .issuer(ISSUER)
        .subject("alice@example.com")
        .audience(stage.server.token_url())
        .build()?;
    provider(stage, TokenEndpoint::builder(stage.server.token_url(), JwtBearer::new(assertion)).build()?)
}

/// A client authenticates with a signed assertion and gets an access token for itself (`private_key_jwt`,
/// RFC 7523 section 2.2).
pub(crate) fn client_credentials(stage: &Stage) -> Result<TokenProvider, Error> {
    let key = SigningKey::from_pem(Algorithm::ES256, TestKey::es256()?.private_pem())?;
    let source = TokenEndpoint::builder(stage.server.token_url(), ClientCredentials::new())
        .client_auth(ClientAuth::private_key_jwt(CLIENT, key))
        .build()?;
    provider(stage, source)
}

fn provider(stage: &Stage, source: impl bearer_token::TokenSource) -> Result<TokenProvider, Error> {
    TokenProvider::builder(source)
        .allow_origin(stage.server.issuer()) // Tokens go to the API's origin, and nowhere else.
        .platform(stage.platform()) // Only because time is played here: leave it out.
        .build()
}
