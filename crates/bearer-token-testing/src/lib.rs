//! Test support for code that uses bearer tokens: an authorization server in a box, a clock that only the test moves,
//! and a source of tokens that follows a script.
//!
//! ```
//! use bearer_token_testing::{AuthorizationServer, Client, Fault};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = AuthorizationServer::start()?;
//! server.register(Client::secret("reports", "a secret"));
//!
//! // A client gets a token ...
//! let http = reqwest::Client::builder().no_proxy().build()?;
//! let request = async || {
//!     let form = [("grant_type", "client_credentials")];
//!     http.post(server.token_url()).basic_auth("reports", Some("a secret")).form(&form).send().await
//! };
//! let response: serde_json::Value = request().await?.json().await?;
//! let token = response["access_token"].as_str().ok_or("there is no token")?;
//!
//! // ... and calls the API, which verifies it.
//! let call = async || http.get(format!("{}/orders", server.api_url())).bearer_auth(token).send().await;
//! assert_eq!(call().await?.status(), 200);
//! server.revoke_all();
//! assert_eq!(call().await?.status(), 401);
//!
//! // The server can be told to fail, and counts everything.
//! server.token_endpoint().next(Fault::status(503).header("retry-after", "5"));
//! assert_eq!(request().await?.status(), 503);
//! assert_eq!(server.count().token_requests, 2);
//! assert_eq!(server.count().tokens_issued, 1);
//! # Ok(()) }
//! ```
//!
//! # What the server does
//!
//! - **Token requests** ([RFC 6749 section 3.2](https://www.rfc-editor.org/rfc/rfc6749#section-3.2)): the grants
//!   `client_credentials`, `urn:ietf:params:oauth:grant-type:jwt-bearer`, token exchange (RFC 8693) and
//!   `refresh_token` ([`RefreshTokens`]). Token exchange takes access tokens of this server, and identities of its
//!   [issuers](Issuer); it also issues an ID-JAG. Client authentication is by HTTP Basic, in the body, by assertion, or
//!   none. The body is a form; [other requests](AuthorizationServer::accept_other_requests) are accepted
//!   on demand. Assertions are verified: signature and algorithm, `iss`, `sub`, `aud`, `exp`, `iat`, `nbf`, and that
//!   no `jti` is used twice ([`AssertionRules`]). Errors have the codes and the form of
//!   [section 5.2](https://www.rfc-editor.org/rfc/rfc6749#section-5.2).
//! - **The API** verifies bearer tokens: those that the server issued ([`Tokens`]), and self-signed ones from
//!   [issuers](Issuer) that are allowed to sign them.
//! - **Faults** ([`Fault`]) happen to the next requests or to all of them, at either [endpoint](Behaviour).
//!   [Gates](Gate) hold requests without a sleep. [`Counts`] and [`RecordedRequest`]s show what the server saw.
//!
//! # Time in tests
//!
//! Use [`ManualClock`]. The other ways to change time do not work here:
//!
//! - **`#[tokio::test(start_paused = true)]`** with a server on loopback: tokio advances its paused clock whenever a
//!   task waits for nothing but I/O. The fetch's deadline passes at once: after a few milliseconds, the error says that
//!   no response arrived within 10 s. A provider on a `ManualClock` has no tokio timer that could fire:
//!
//!   ```
//!   use bearer_token::{TokenProvider, platform::Platform};
//!   use bearer_token_testing::{ManualClock, ScriptedSource};
//!   use std::time::Duration;
//!
//!   # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!   let clock = ManualClock::new();
//!   let source = ScriptedSource::new();
//!   let provider = TokenProvider::builder(source.clone())
//!       .platform(Platform::system().with_clock(clock.clone()))
//!       .build()?;
//!   provider.token().await?;
//!   // An hour later:
//!   clock.advance(Duration::from_secs(3600));
//!   provider.token().await?;
//!   assert_eq!(source.count().started, 2);
//!   # Ok(()) }
//!   ```
//!
//! - **`faketime`** and similar libraries replace libc's functions. On Linux the provider reads the clocks from the
//!   kernel's vDSO through rustix, past libc, so they have no effect.
//!
//! # What it is not
//!
//! A server for anything but tests. It listens on loopback only, without TLS. It keeps all requests, with their secrets
//! (its `Debug` output shows none), and forgets everything when it stops. Its memory is bounded: it keeps the latest
//! 100,000 requests, opaque tokens, used assertions and revoked tokens.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod api;
mod assertion;
mod behaviour;
mod body;
mod client_auth;
mod clock;
mod disk;
mod form;
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
pub mod store_contract;
mod tally;
mod test_key;
mod token;

pub use self::{
    assertion::AssertionRules,
    behaviour::{Behaviour, Fault},
    clock::ManualClock,
    disk::Disk,
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
