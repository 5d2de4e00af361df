//! An authorization server that behaves as the weather is, and an API that believes its tokens, mostly.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    future,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bearer_token::{AccessToken, Error, ErrorKind, FetchContext, TokenSource, transport::Transport};
use bytes::Bytes;
use http::{Request, Response, StatusCode, header::RETRY_AFTER};
use serde_json::{Value, json};

use super::{
    oracle::Model,
    world::{World, lock},
};

const SECOND: Duration = Duration::from_secs(1);

/// Both servers.
pub(crate) struct Server {
    world: World,
    pub(crate) state: Mutex<State>,
}

pub(crate) struct State {
    pub(crate) mood: Mood,
    pub(crate) lifetime: Said,
    /// It gives the token that it has given already, for as long as that lives.
    pub(crate) sticky: bool,
    /// One of so many token requests meets the mood; the others get a correct response.
    pub(crate) one_in: u64,
    /// The name of the key that assertions must be signed with.
    pub(crate) key: u64,
    /// The API refuses one of so many requests without a reason; all of them if it is one.
    pub(crate) unjust: Option<u64>,
    /// When each token expires, in true time.
    tokens: BTreeMap<u64, Duration>,
    revoked: BTreeSet<u64>,
    issued: u64,
}

/// How token requests fare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Fair,
    Slow,
    /// No connection, or it breaks.
    Away,
    Hangs,
    Busy {
        status: u16,
        retry_after: Option<u64>,
    },
    Garbage,
    Refuses,
}

/// What the responses say about the lifetime.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Said {
    Seconds(u64),
    Text(u64),
    Fraction(f64),
    Nothing,
    Null,
    Negative,
}

impl Said {
    fn member(self) -> Value {
        match self {
            Said::Seconds(seconds) => json!(seconds),
            Said::Text(seconds) => json!(seconds.to_string()),
            Said::Fraction(seconds) => json!(seconds),
            Said::Nothing | Said::Null => Value::Null,
            Said::Negative => json!(-1),
        }
    }

    /// What the docs of the token endpoint and the policy make of it.
    fn believed(self) -> Duration {
        let thirty_days = 30 * 24 * 3_600;
        match self {
            Said::Seconds(seconds) | Said::Text(seconds) => Duration::from_secs(seconds.min(thirty_days)),
            Said::Fraction(seconds) => Duration::from_secs(seconds as u64),
            Said::Nothing | Said::Null => 300 * SECOND,
            Said::Negative => Duration::ZERO,
        }
    }
}

impl Server {
    pub(crate) fn new(world: World) -> Self {
        let state = State {
            mood: Mood::Fair,
            lifetime: Said::Seconds(3_600),
            sticky: false,
            one_in: 1,
            key: 1,
            unjust: None,
            tokens: BTreeMap::new(),
            revoked: BTreeSet::new(),
            issued: 0,
        };
        Server { world, state: Mutex::new(state) }
    }

    /// Everything is as it should be again; the key is the one in the file.
    pub(crate) fn recover(&self, key: u64) {
        let mut state = lock(&self.state);
        let State { tokens, revoked, issued, .. } =
            std::mem::replace(&mut *state, Server::new(self.world.clone()).take());
        (state.tokens, state.revoked, state.issued, state.key) = (tokens, revoked, issued, key);
    }

    fn take(self) -> State {
        self.state.into_inner().unwrap()
    }

    /// It ends here: what the server remembers is none of the provider's memory.
    pub(crate) fn forget(&self) {
        let mut state = lock(&self.state);
        (state.tokens, state.revoked) = Default::default();
    }

    pub(crate) fn revoke_all(&self) {
        let mut state = lock(&self.state);
        let all: Vec<u64> = state.tokens.keys().copied().collect();
        state.revoked.extend(all);
    }

    /// Whether the API takes a token.
    pub(crate) fn takes(&self, token: &str) -> bool {
        let state = lock(&self.state);
        let number = token.rsplit('-').next().and_then(|number| number.parse().ok()).unwrap_or_default();
        let unjust = state.unjust.is_some_and(|one_in| self.world.one_in(one_in));
        let good = state.tokens.get(&number).is_some_and(|expires| self.world.moment().truth < *expires);
        good && !unjust && !state.revoked.contains(&number)
    }

    /// A token, its name, and how long it lives for the client.
    fn mint(&self, provider: u64) -> (String, Said) {
        let truth = self.world.moment().truth;
        let mut state = lock(&self.state);
        let said = state.lifetime;
        let last = state.issued;
        if state.sticky
            && let Some(left) = state.tokens.get(&last).and_then(|expires| expires.checked_sub(truth))
            && !state.revoked.contains(&last)
        {
            return (format!("token-{provider}-{last}"), Said::Seconds(left.as_secs()));
        }
        state.issued += 1;
        let number = state.issued;
        // A whole second more than it says, so that a token which is sent in time is good.
        state.tokens.insert(number, truth + said.believed() + SECOND);
        while state.tokens.len() > 256 {
            let oldest = state.tokens.pop_first().map(|(number, _)| number);
            oldest.map(|number| state.revoked.remove(&number));
        }
        (format!("token-{provider}-{number}"), said)
    }
}

/// How the token requests of one provider reach the server.
pub(crate) struct Wire {
    pub(crate) server: Arc<Server>,
    pub(crate) model: Arc<Model>,
    pub(crate) provider: u64,
}

impl Transport for Wire {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Error> {
        let (world, server) = (&self.server.world, &self.server);
        let asked = world.moment();
        let (mood, key) = {
            let state = lock(&server.state);
            (if world.one_in(state.one_in) { state.mood } else { Mood::Fair }, state.key)
        };
        let latency = match mood {
            Mood::Slow => world.about(8 * SECOND),
            _ => world.about(SECOND / 10),
        };
        world.sleep(latency).await;
        let kind = world.below(7);
        match mood {
            Mood::Hangs => future::pending().await,
            Mood::Away => Err(Error::new(ErrorKind::Transport, "the connection broke")),
            Mood::Busy { status, retry_after } => {
                let mut response = reply(status, r#"{"error":"invalid_grant"}"#);
                if let Some(seconds) = retry_after {
                    response.headers_mut().insert(RETRY_AFTER, seconds.into());
                }
                Ok(response)
            }
            Mood::Refuses => Ok(reply(401, r#"{"error":"invalid_client"}"#)),
            Mood::Garbage => Ok(match kind {
                0 => reply(200, "<!doctype html><title>Sign in</title>"),
                1 => reply(200, r#"{"access_token":"aaa"#),
                2 => reply(200, r#"{"access_token":"","token_type":"Bearer"}"#),
                3 => reply(200, r#"{"access_token":"a b","token_type":"Bearer","expires_in":60}"#),
                4 => reply(200, r#"{"access_token":"aaa","token_type":"mac","expires_in":60}"#),
                5 => reply(200, "\u{0}[[[[[[\u{ffff}"),
                _ => reply(302, ""),
            }),
            Mood::Fair | Mood::Slow if signed_with(request.body()) != Some(key) => {
                Ok(reply(401, r#"{"error":"invalid_client"}"#))
            }
            Mood::Fair | Mood::Slow => {
                let (token, said) = server.mint(self.provider);
                self.model.issued(&token, asked, said.believed());
                let mut body = json!({ "access_token": token, "token_type": "bearer", "expires_in": said.member() });
                if said == Said::Nothing
                    && let Some(members) = body.as_object_mut()
                {
                    members.remove("expires_in");
                }
                Ok(reply(200, &body.to_string()))
            }
        }
    }
}

fn reply(status: u16, body: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::copy_from_slice(body.as_bytes()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

/// The name of the key that the assertion in a token request says it was signed with.
fn signed_with(body: &Bytes) -> Option<u64> {
    let (_, assertion) = form_urlencoded::parse(body).find(|(name, _)| name == "client_assertion")?;
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(assertion.split('.').next()?).ok()?).ok()?;
    header["kid"].as_str()?.parse().ok()
}

/// The key file, as the provider's side has it.
pub(crate) struct KeyFile {
    pub(crate) path: PathBuf,
    _directory: tempfile::TempDir,
    /// Each content is longer than the last: files that look alike within a tick of the real clock would be chance.
    writes: Cell<usize>,
}

impl KeyFile {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.json");
        let file = KeyFile { path, _directory: directory, writes: Cell::new(0) };
        file.hold(1);
        file
    }

    pub(crate) fn hold(&self, key: u64) {
        self.write(&Self::text(key));
    }

    pub(crate) fn hold_half(&self, key: u64) {
        let text = Self::text(key);
        self.write(&text[..text.len() / 2]);
    }

    fn write(&self, text: &str) {
        self.writes.set(self.writes.get() + 1);
        std::fs::write(&self.path, [text, &" ".repeat(self.writes.get())].concat()).unwrap();
    }

    fn text(key: u64) -> String {
        let secret = URL_SAFE_NO_PAD.encode(format!("{key:064}"));
        json!({ "kty": "oct", "alg": "HS256", "kid": key.to_string(), "k": secret }).to_string()
    }
}

/// A source whose fetches the model hears of.
pub(crate) struct Watched<S> {
    pub(crate) source: S,
    pub(crate) model: Arc<Model>,
    pub(crate) world: World,
}

impl<S: TokenSource> TokenSource for Watched<S> {
    async fn fetch(&self, cx: FetchContext) -> Result<AccessToken, Error> {
        let id = self.model.fetch_started(&cx);
        let mut flying = Flying { model: self.model.clone(), cx: cx.clone(), id: Some(id) };
        let result = self.source.fetch(cx).await;
        flying.id = None;
        // What cannot be sent fails when it is sealed; and some sources do not survive their own success.
        let unfit = Error::new(ErrorKind::Token, "");
        let panics = self.world.one_in(500);
        let heard = match &result {
            Ok(token) if panics || !token.secret().bytes().all(|byte| byte.is_ascii_graphic()) => Err(&unfit),
            Ok(token) => Ok(token.secret()),
            Err(_) if panics => Err(&unfit),
            Err(error) => Err(error),
        };
        self.model.fetch_ended(id, heard);
        if panics {
            std::panic::resume_unwind(Box::new("on purpose"));
        }
        result
    }

    fn has_changed(&self) -> bool {
        self.source.has_changed()
    }
}

struct Flying {
    model: Arc<Model>,
    cx: FetchContext,
    id: Option<u64>,
}

impl Drop for Flying {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.model.fetch_dropped(id, &self.cx);
        }
    }
}
