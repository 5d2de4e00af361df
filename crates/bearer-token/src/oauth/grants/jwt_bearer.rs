//! The JWT bearer grant.

use std::fmt;

use crate::{
    error::Error,
    jwt::JwtTemplate,
    oauth::{Grant, Parameters},
    observe,
    source::FetchContext,
};

/// A token for a signed assertion: `grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer` (RFC 7523 section 2.1).
///
/// Every request, a retry included, has a new assertion from the template, with its own `jti`, `iat` and `exp`. The
/// server's documentation says what `aud` must be: often the token endpoint's URL, sometimes the issuer, a host name or a
/// constant. Client authentication is independent of the grant, and many servers require none.
///
/// ```
/// use bearer_token::jwt::{Algorithm, JwtTemplate, SigningKey};
/// use bearer_token::oauth::JwtBearer;
///
/// # fn main() -> Result<(), bearer_token::Error> {
/// # let pem = include_str!("../../jwt/testdata/p256.pem");
/// let template = JwtTemplate::builder(SigningKey::from_pem(Algorithm::ES256, pem)?)
///     .issuer("service@project.example.com")
///     .subject("service@project.example.com")
///     .audience("https://as.example.com/token")
///     .claim("scope", "read write")
///     .build()?;
/// let grant = JwtBearer::new(template);
/// # let _ = grant;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct JwtBearer {
    template: JwtTemplate,
}

impl JwtBearer {
    /// Creates the grant with the template of its assertions.
    ///
    /// If [claims are missing](Self::missing_claims), an event says so: many servers refuse such assertions.
    pub fn new(template: JwtTemplate) -> Self {
        let grant = JwtBearer { template };
        let missing = grant.missing_claims();
        if !missing.is_empty() {
            observe::incomplete_assertion(&missing);
        }
        grant
    }

    /// The claims that RFC 7523 section 3 requires and the template does not have. Only some servers do without.
    pub fn missing_claims(&self) -> Vec<&'static str> {
        let names: Vec<&str> = self.template.claim_names().collect();
        ["iss", "sub", "aud", "exp"].into_iter().filter(|required| !names.contains(required)).collect()
    }
}

impl Grant for JwtBearer {
    async fn parameters(&self, cx: &FetchContext) -> Result<Parameters, Error> {
        let jwt = self.template.sign(cx.platform()).await?;
        Ok(Parameters::new("urn:ietf:params:oauth:grant-type:jwt-bearer").with("assertion", jwt.secret()))
    }

    fn has_changed(&self) -> bool {
        self.template.has_changed()
    }

    fn is_time_bound(&self) -> bool {
        true
    }
}

impl fmt::Debug for JwtBearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtBearer").field("template", &self.template).finish()
    }
}
