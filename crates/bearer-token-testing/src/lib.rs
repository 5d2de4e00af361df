//! For tests of code that uses bearer tokens: an authorization server in a box, a clock that moves when the test moves
//! it, and a source of tokens that follows a script.
//!
//! ```
//! use bearer_token_testing::{AuthorizationServer, Client, Fault};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = AuthorizationServer::start()?;
//! server.register(Client::secret("reports", "a secret"));
//!
//! // A client gets a token ...
//! let http = reqwest::Client::new();
//! let ask = async || {
//!     let form = [("grant_type", "client_credentials")];
//!     http.post(server.token_url()).basic_auth("reports", Some("a secret")).form(&form).send().await
//! };
//! let answer: serde_json::Value = ask().await?.json().await?;
//! let token = answer["access_token"].as_str().ok_or("there is no token")?;
//!
//! // ... and calls the API with it, which really looks at it.
//! let call = async || http.get(format!("{}/orders", server.api_url())).bearer_auth(token).send().await;
//! assert_eq!(call().await?.status(), 200);
//! server.revoke_all();
//! assert_eq!(call().await?.status(), 401);
//!
//! // The server can be told to fail, and counts everything.
//! server.token_endpoint().next(Fault::status(503).header("retry-after", "5"));
//! assert_eq!(ask().await?.status(), 503);
//! assert_eq!(server.count().token_requests, 2);
//! assert_eq!(server.count().tokens_issued, 1);
//! # Ok(()) }
//! ```
//!
//! # What the server does
//!
//! - **Token requests** ([RFC 6749 section 3.2](https://www.rfc-editor.org/rfc/rfc6749#section-3.2)): the grants
//!   `client_credentials`, `urn:ietf:params:oauth:grant-type:jwt-bearer` and `refresh_token` ([`RefreshTokens`]), with
//!   client authentication by HTTP Basic, in the body, by assertion, or none. Assertions are really verified: signature and algorithm, `iss`, `sub`, `aud`,
//!   `exp`, `iat`, `nbf`, and that no `jti` comes twice ([`AssertionRules`]). Errors have the codes and the form of
//!   [section 5.2](https://www.rfc-editor.org/rfc/rfc6749#section-5.2).
//! - **The API** really verifies bearer tokens: those that the server issued ([`Tokens`]) and the self-signed ones of
//!   [issuers](Issuer) that may.
//! - **Faults** ([`Fault`]) happen to the next requests or to all, at either [endpoint](Behaviour); [gates](Gate) hold
//!   requests without a sleep; [`Counts`] and [`RecordedRequest`]s tell what was seen.
//!
//! # What it is not
//!
//! A server for anything but tests. It listens on loopback only and without TLS, keeps what it is sent, secrets
//! included (its `Debug` output shows none), and forgets everything when it stops. What it remembers is bounded: 100,000
//! each of requests, opaque tokens, used assertions and revoked tokens, then the oldest are forgotten.

mod api;
mod assertion;
mod behaviour;
mod body;
mod client_auth;
mod clock;
mod gate;
mod http_server;
mod issue;
mod key;
mod recent;
mod record;
mod refresh;
mod registration;
mod server;
mod source;
mod state;
mod tally;
mod test_key;
mod token;

pub use self::{
    assertion::AssertionRules,
    behaviour::{Behaviour, Fault},
    clock::ManualClock,
    gate::Gate,
    issue::Tokens,
    key::{Algorithm, VerifyingKey},
    record::{Counts, Endpoint, RecordedRequest},
    refresh::{Consent, RefreshTokens},
    registration::{Client, Issuer},
    server::{AuthorizationServer, AuthorizationServerBuilder},
    source::{FetchCounts, Outcome, ScriptedSource},
    test_key::{TestKey, TestSecret},
};
