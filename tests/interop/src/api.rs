//! An API that verifies the bearers it gets, by the server's introspection (RFC 7662) or by the server's keys.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail};
use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use jsonwebtoken::{DecodingKey, Validation, decode, decode_header, jwk::JwkSet};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinSet};

/// Where the API asks about tokens.
#[derive(Clone, Default)]
pub(crate) struct Verifier {
    pub(crate) issuer: String,
    pub(crate) keys_url: Option<String>,
    pub(crate) introspection_url: Option<String>,
    /// The API's own client at the server.
    pub(crate) client: (String, String),
}

/// How the API verifies a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// JWTs by the server's keys, other tokens by introspection.
    Either,
    /// Every token by introspection, each time.
    Introspection,
    /// As `Either`, but what the server said of a token counts until the token expires.
    Remembered,
}

/// What the API saw at one of its paths.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) accepted: u32,
    pub(crate) refused: u32,
    /// The accepted tokens. They must not appear in any error.
    pub(crate) tokens: BTreeSet<String>,
}

pub(crate) struct Api {
    pub(crate) origin: String,
    state: Arc<ApiState>,
    _task: JoinSet<()>,
}

struct ApiState {
    verifier: Verifier,
    http: reqwest::Client,
    mode: Mutex<Mode>,
    keys: Mutex<Option<JwkSet>>,
    remembered: Mutex<BTreeMap<String, Value>>,
    seen: Mutex<BTreeMap<String, Seen>>,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Api {
    /// Listens on a free loopback port. Every path is protected.
    pub(crate) async fn start(verifier: Verifier) -> Result<Self> {
        let state = Arc::new(ApiState {
            verifier,
            http: reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build()?,
            mode: Mutex::new(Mode::Either),
            keys: Mutex::default(),
            remembered: Mutex::default(),
            seen: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let origin = format!("http://{}", listener.local_addr()?);
        let router = Router::new().route("/{path}", get(serve)).with_state(Arc::clone(&state));
        let mut task = JoinSet::new();
        task.spawn(async move {
            // Ends with the set of tasks.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Api { origin, state, _task: task })
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.origin)
    }

    pub(crate) fn set_mode(&self, mode: Mode) {
        *locked(&self.state.mode) = mode;
    }

    /// What was seen at this path since the last call, and forgets it.
    pub(crate) fn take(&self, path: &str) -> Seen {
        locked(&self.state.seen).remove(path).unwrap_or_default()
    }

    /// Whether the API can ask the server about tokens.
    pub(crate) fn has_introspection(&self) -> bool {
        self.state.verifier.introspection_url.is_some()
    }
}

async fn serve(State(state): State<Arc<ApiState>>, Path(path): Path<String>, headers: HeaderMap) -> Response {
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .unwrap_or_default();
    let mode = *locked(&state.mode);
    let verified = state.verify(token, mode).await;
    let mut seen = locked(&state.seen);
    let seen = seen.entry(path).or_default();
    match verified {
        Ok(about) => {
            seen.accepted += 1;
            seen.tokens.insert(token.to_owned());
            Json(about).into_response()
        }
        Err(error) => {
            seen.refused += 1;
            let challenge = "Bearer realm=\"interop\", error=\"invalid_token\"";
            let why = error.to_string();
            (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)], why).into_response()
        }
    }
}

impl ApiState {
    /// What the token says: `client`, `scope`, `audience`, and how it was verified.
    async fn verify(&self, token: &str, mode: Mode) -> Result<Value> {
        if token.is_empty() {
            bail!("found no bearer");
        }
        let is_jwt = self.verifier.keys_url.is_some() && decode_header(token).is_ok();
        if is_jwt && mode != Mode::Introspection {
            return self.by_keys(token).await;
        }
        if mode == Mode::Remembered
            && let Some(about) = locked(&self.remembered).get(token)
            && about["exp"].as_u64().is_some_and(|exp| exp > now())
        {
            return Ok(about.clone());
        }
        self.by_introspection(token).await
    }

    async fn by_keys(&self, token: &str) -> Result<Value> {
        let header = decode_header(token)?;
        let id = header.kid.context("found a JWT without kid")?;
        let known = locked(&self.keys).as_ref().and_then(|keys| keys.find(&id)).cloned();
        let key = match known {
            Some(key) => key,
            None => {
                let url = self.verifier.keys_url.as_deref().context("the server has no keys")?;
                let keys: JwkSet = self.http.get(url).send().await?.error_for_status()?.json().await?;
                let key = keys.find(&id).cloned().context("the server does not know this kid")?;
                *locked(&self.keys) = Some(keys);
                key
            }
        };
        let mut validation = Validation::new(header.alg);
        validation.leeway = 0;
        validation.validate_aud = false;
        validation.set_issuer(&[&self.verifier.issuer]);
        validation.set_required_spec_claims(&["exp", "iss"]);
        let claims: Value = decode(token, &DecodingKey::from_jwk(&key)?, &validation)?.claims;
        Ok(about(&claims, "keys"))
    }

    async fn by_introspection(&self, token: &str) -> Result<Value> {
        let url = self.verifier.introspection_url.as_deref().context("the server has no introspection")?;
        let (id, secret) = &self.verifier.client;
        let request = self.http.post(url).basic_auth(id, Some(secret)).form(&[("token", token)]);
        let response = request.header(header::ACCEPT, "application/json").send().await?;
        let status = response.status();
        if !status.is_success() {
            bail!("introspection responded with {status}: {}", response.text().await?);
        }
        let claims: Value = response.json().await?;
        if claims["active"] != true {
            bail!("the token is not active");
        }
        if claims["exp"].as_u64().is_some_and(|exp| exp <= now()) {
            bail!("the token has expired");
        }
        let about = about(&claims, "introspection");
        locked(&self.remembered).insert(token.to_owned(), about.clone());
        Ok(about)
    }
}

fn about(claims: &Value, how: &str) -> Value {
    let client = ["client_id", "azp", "sub"].iter().find_map(|name| claims[*name].as_str());
    json!({
        "client": client, "subject": claims["sub"], "scope": claims["scope"], "audience": claims["aud"],
        "exp": claims["exp"], "verified": how,
    })
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
