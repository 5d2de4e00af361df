//! A proof of the key beside each token request and each API request (RFC 9449), with the server's nonces: `DPoP`.
//!
//! Token requests go through [`DpopTransport`], and their responses through [`bound_token`]. API requests are
//! authorized by the provider, with the scheme `DPoP`, and then signed with [`Dpop::sign`], innermost: a retry needs a
//! new proof.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_lc_rs::digest;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bearer_token::{
    AccessToken, Error, ErrorKind,
    jwt::{JwtTemplate, SigningKey},
    platform::Platform,
    transport::Transport,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, header::AUTHORIZATION};
use serde_json::{Value, json};

/// The key that tokens are bound to.
pub struct Dpop {
    template: JwtTemplate,
    platform: Platform,
    /// The latest nonce of each server. A program knows few servers, so there is no bound.
    nonces: Mutex<HashMap<String, String>>,
}

impl Dpop {
    /// The JWK is the public key.
    pub fn new(key: SigningKey, jwk: &Value, platform: Platform) -> Result<Arc<Self>, Error> {
        let template = JwtTemplate::builder(key)
            .header("typ", "dpop+jwt")
            .header("jwk", jwk)
            .backdate(Duration::ZERO)
            .expiration_time(false)
            .build()?;
        Ok(Arc::new(Dpop { template, platform, nonces: Mutex::default() }))
    }

    /// Adds the proof to an API request that has its token already.
    pub async fn sign<B>(&self, request: &mut Request<B>) -> Result<(), Error> {
        let token = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("DPoP "));
        let proof = self.proof(request.method(), request.uri(), token).await?;
        request.headers_mut().insert("dpop", proof);
        Ok(())
    }

    /// Keeps the nonce of a response. Call it for each response of the API.
    pub fn learn(&self, url: &Uri, response: &HeaderMap) {
        if let Some(nonce) = response.get("dpop-nonce").and_then(|nonce| nonce.to_str().ok()) {
            let mut nonces = self.nonces.lock().unwrap_or_else(PoisonError::into_inner);
            nonces.insert(origin(url), nonce.to_owned());
        }
    }

    /// A proof for one request (RFC 9449 section 4.2).
    async fn proof(&self, method: &Method, url: &Uri, token: Option<&str>) -> Result<HeaderValue, Error> {
        let nonce = self.nonces.lock().unwrap_or_else(PoisonError::into_inner).get(&origin(url)).cloned();
        let mut claims = json!({ "htm": method.as_str(), "htu": format!("{}{}", origin(url), url.path()) });
        if let Some(nonce) = nonce {
            claims["nonce"] = nonce.into();
        }
        if let Some(token) = token {
            let hash = digest::digest(&digest::SHA256, token.as_bytes());
            claims["ath"] = BASE64_URL_SAFE_NO_PAD.encode(hash).into();
        }
        let jwt = self.template.sign_with(&self.platform, claims).await?;
        HeaderValue::try_from(jwt.secret()).map_err(|_| Error::new(ErrorKind::Token, "the JWT cannot be a header"))
    }
}

fn origin(url: &Uri) -> String {
    let authority = url.authority().map_or("", |authority| authority.as_str());
    format!("{}://{authority}", url.scheme_str().unwrap_or("https"))
}

/// Reads a token that is bound to the key, for `TokenEndpointBuilder::response_with`. A bearer token is a fault of the
/// server, which has ignored the proof (section 5).
pub fn bound_token(response: &Response<Bytes>) -> Result<AccessToken, Error> {
    let failed = |problem| Error::new(ErrorKind::Response, problem);
    let body: Value = serde_json::from_slice(response.body()).map_err(|_| failed("the response is not JSON"))?;
    if !body["token_type"].as_str().is_some_and(|word| word.eq_ignore_ascii_case("DPoP")) {
        return Err(failed("the response has a token that is not bound to the key; expected the type `DPoP`"));
    }
    let token = body["access_token"].as_str().ok_or_else(|| failed("the response has no `access_token`"))?;
    let lifetime = body["expires_in"].as_u64().map(Duration::from_secs);
    Ok(lifetime.into_iter().fold(AccessToken::new(token), AccessToken::expires_in))
}

/// Adds a proof to each token request. If the server wants a nonce (section 8), the token endpoint makes another
/// request, with a new client assertion, which then has a proof with that nonce.
pub struct DpopTransport<T> {
    pub inner: T,
    pub dpop: Arc<Dpop>,
}

impl<T: Transport> Transport for DpopTransport<T> {
    async fn send(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>, Error> {
        let proof = self.dpop.proof(request.method(), request.uri(), None).await?;
        request.headers_mut().insert("dpop", proof);
        let url = request.uri().clone();
        let response = self.inner.send(request).await?;
        self.dpop.learn(&url, response.headers());
        Ok(response)
    }
}
