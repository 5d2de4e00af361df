//! JWTs signed here: as bearer tokens themselves, or as the assertions of token requests.
//!
//! A [`SigningKey`] is parsed once, from any of many formats. A key in a file is read again when the file changes, and
//! a key in another place is used through a [`Signer`]. A [`JwtTemplate`] has what every JWT carries: claims (RFC 7519
//! section 4) and members of the JOSE header (RFC 7515 section 4). [`JwtTemplate::sign`] signs a new JWT each time,
//! with its own `iat`, `exp` and `jti`. [`SelfSigned`] is the source for APIs that accept such a JWT as the bearer
//! token.
//!
//! Each room below uses those after it only: `template`, `key`, `native`, `formats`, `algorithm`.
//!
//! ```
//! use bearer_token::{FetchContext, FetchReason, TokenSource, platform::Platform};
//! use bearer_token::jwt::{Algorithm, JwtTemplate, SelfSigned, SigningKey};
//! use std::time::Duration;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), bearer_token::Error> {
//! let key = SigningKey::hmac(Algorithm::HS256, "at least 32 bytes, from a vault or a file")?;
//! let template = JwtTemplate::builder(key.with_key_id("2026-01"))
//!     .issuer("service-a")
//!     .audience("https://api.example.com/")
//!     .lifetime(Duration::from_secs(600))
//!     .claim("acl", serde_json::json!({ "paths": { "/v1/*": {} } }))
//!     .build()?;
//! let source = SelfSigned::new(template);
//!
//! // A provider does this for you, once for each refresh.
//! let context = FetchContext::new(Platform::system(), Duration::from_secs(10), FetchReason::Missing);
//! let token = source.fetch(context).await?;
//! assert_eq!(token.secret().split('.').count(), 3);
//! # Ok(()) }
//! ```
//!
//! # From a key to a token
//!
//! ```text
//!  bytes, file, value ─► formats (what is it?) ─► native key (does it fit the algorithm?) ─► SigningKey
//!                           │ not a key: diagnose says what it is, and how to convert it       │
//!  KMS, HSM ─► Signer ─────────────────────────────────────────────────────────────────────────┤
//!                                                                                              ▼
//!  issuer, audience, claims, header, certificate, times ─────────────────────────────► JwtTemplate
//!                                                                                              │ sign
//!                                         the bearer itself: SelfSigned ◄──────────────────────┤
//!                                         an assertion: JwtBearer, ClientAuth::private_key_jwt ┘
//! ```
//!
//! # Which use
//!
//! | the API or server wants | use | lifetime by default |
//! |---|---|---|
//! | the JWT as the bearer: GitHub apps, App Store Connect, Snowflake | [`SelfSigned`] | 1 h |
//! | a token request with an assertion as the grant: Google, Salesforce, Box | `oauth::JwtBearer` | 60 s |
//! | a token request with an assertion as the client's credential: Entra, Okta, Auth0 | `oauth::ClientAuth::private_key_jwt` | 60 s |
//! | a token that a browser or another service gets: Firebase, video playback | [`JwtTemplate::sign_with`] | 60 s |
//!
//! This module signs and never verifies: the receiver does that. It has no `none` algorithm, no encryption (JWE), and
//! no detached payloads.

mod algorithm;
mod formats;
mod key;
mod native;
mod self_signed;
mod template;

#[cfg(feature = "oauth")]
pub(crate) use self::template::BACKDATE;
pub use self::{
    algorithm::Algorithm,
    formats::encoding::Encoding,
    key::{SigningKey, reader::KeyReader, remote::Signer},
    self_signed::SelfSigned,
    template::{
        JwtTemplate, SignedJwt,
        builder::JwtTemplateBuilder,
        context::{Fingerprint, SignContext},
    },
};

/// Keys for the tests of this module.
#[cfg(test)]
mod test_support;
