//! Runs one recipe.

use std::{
    any::Any,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use bearer_token::{
    Authorized, Error, RequestHead, TokenProvider,
    platform::{Clock, Entropy, Platform},
};
use bearer_token_config::{KeyedConfig, ProviderConfig};
use bearer_token_testing::ManualClock;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    decoded,
    expected::{Exchange, Expected, at, directory, encoded},
    recorder::Recorder,
    signature::Keys,
};

/// Randomness that is always the same: a `jti` is 11111111-1111-4111-9111-111111111111.
pub(crate) struct Ones;

impl Entropy for Ones {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), Error> {
        bytes.fill(0x11);
        Ok(())
    }
}

/// A substitute for the world: a clock, randomness, the servers, and files.
pub(crate) struct World {
    pub(crate) platform: Platform,
    pub(crate) recorder: Recorder,
    pub(crate) files: TempDir,
}

impl World {
    /// Where the content of a file of production is.
    pub(crate) fn file(&self, path: &str) -> PathBuf {
        self.files.path().join(Path::new(path).file_name().unwrap())
    }
}

/// What a recipe does otherwise than documented, if anything.
pub(crate) async fn run(expected: Expected) -> Result<(), String> {
    run_with(expected, from_recipe).await
}

/// What a provider does otherwise than documented, if anything.
pub(crate) async fn run_with<F>(expected: Expected, make: F) -> Result<(), String>
where
    F: FnOnce(&Expected, &World) -> Result<TokenProvider, Error> + Send + 'static,
{
    // In a task, so that a panic belongs to its recipe.
    tokio::spawn(check(expected, make)).await.unwrap_or_else(|error| Err(message(&*error.into_panic())))
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic").to_owned()
}

async fn check<F>(expected: Expected, make: F) -> Result<(), String>
where
    F: FnOnce(&Expected, &World) -> Result<TokenProvider, Error>,
{
    let clock = ManualClock::new();
    let now = clock.now().wall();
    let keys = Keys::new(expected.secret.as_ref());
    let resolved = |value: &Value| at(value, now);

    let recorder = Recorder::new(expected.exchanges.iter().map(|exchange| response(exchange, &resolved)));
    let platform = Platform::system().with_clock(clock.clone()).with_entropy(Ones);
    let world = World { platform, recorder, files: tempfile::tempdir().unwrap() };
    write_files(&expected, &world, &resolved);
    let provider = make(&expected, &world).map_err(|error| problems(&error))?;
    let recorder = &world.recorder;

    let headers = call(&provider, &expected.api.url).await;
    let requests: Vec<Value> = recorder.requests().iter().map(|request| decoded::request(request, &keys)).collect();
    let documented =
        expected.exchanges.iter().map(|exchange| decoded::with_usual_headers(&resolved(&exchange.request)));
    same("the token requests", &requests.into(), &documented.collect())?;

    let headers = headers.map_err(|error| format!("no token: {error}"))?;
    same("the headers to the API", &decoded::headers(&headers, &keys), &resolved(&expected.api.headers))?;
    let bearer = provider.token().await.map_err(|error| format!("no token: {error}"))?;
    same("the token", &decoded::text(bearer.secret(), &keys), &resolved(&expected.token))?;
    let expires_in = bearer.expires_at().map(|time| time.duration_since(now).unwrap_or(Duration::ZERO).as_secs());
    same("the seconds until the token expires", &json!(expires_in), &json!(expected.expires_in))?;
    for (name, value) in &expected.kept {
        same(name, &json!(bearer.extra(name)), &json!(value))?;
    }
    let rejects = [400, 401, 403, 404, 429, 498, 500, 503]
        .into_iter()
        .filter(|status| provider.is_rejection(StatusCode::from_u16(*status).unwrap(), &HeaderMap::new()))
        .collect::<Vec<u16>>();
    same("the statuses that reject the token", &json!(rejects), &json!(expected.rejects))?;
    // One request for each stage, and none for the second call.
    call(&provider, &expected.api.url).await.map_err(|error| format!("no token any more: {error}"))?;
    same("the number of token requests", &json!(recorder.requests().len()), &json!(expected.exchanges.len()))
}

/// The provider of a recipe; if it depends on the request, the one for the request to the API.
fn from_recipe(expected: &Expected, world: &World) -> Result<TokenProvider, Error> {
    let mut recipe = expected.recipe();
    for path in expected.files.keys() {
        assert!(recipe.contains(path), "the recipe names the file {path}");
        recipe = recipe.replace(path, world.file(path).to_str().unwrap());
    }
    let config = ProviderConfig::from_toml(&recipe)?.relative_to(directory()).transport(world.recorder.clone());
    let config = config.platform(world.platform.clone());
    if !recipe.contains("{request.") {
        return config.build();
    }
    let keyed = KeyedConfig::new(config)?;
    let request = Request::get(&expected.api.url).body(()).unwrap();
    let key = keyed.key(&RequestHead::from(&request), [] as [(&str, &str); 0])?;
    keyed.providers().build()?.get(&key)
}

/// The headers of a request to the API.
async fn call(provider: &TokenProvider, url: &str) -> Result<HeaderMap, Error> {
    let mut request = Request::get(url).body(()).unwrap();
    match provider.authorize(&mut request)? {
        Authorized::NotReady => {
            provider.token().await?.attach(request.headers_mut());
        }
        Authorized::Inserted(_) => {}
        other => panic!("found {other:?}: is the API among `allow_origins`?"),
    }
    Ok(request.into_parts().0.headers)
}

fn response(exchange: &Exchange, resolved: &impl Fn(&Value) -> Value) -> Response<Bytes> {
    let body = encoded(&resolved(&exchange.response.body)).to_string();
    let response = Response::builder().status(exchange.response.status).header("content-type", "application/json");
    response.body(body.into()).unwrap()
}

/// Writes the files of production.
fn write_files(expected: &Expected, world: &World, resolved: &impl Fn(&Value) -> Value) {
    for (path, content) in &expected.files {
        if let Some(content) = encoded(&resolved(content)).as_str() {
            fs::write(world.file(path), content).unwrap();
        }
    }
}

fn problems(error: &Error) -> String {
    let problems: Vec<String> = error.problems().iter().map(|problem| format!("  {problem}")).collect();
    if problems.is_empty() { error.to_string() } else { format!("it cannot be used:\n{}", problems.join("\n")) }
}

fn same(what: &str, found: &Value, documented: &Value) -> Result<(), String> {
    if found == documented {
        return Ok(());
    }
    let lines = |value: &Value| format!("{value:#}").lines().map(str::to_owned).collect::<Vec<_>>();
    let (found, documented) = (lines(found), lines(documented));
    let only = |these: &[String], those: &[String], sign: &str| {
        these.iter().filter(|line| !those.contains(line)).map(|line| format!("  {sign}{line}\n")).collect::<String>()
    };
    Err(format!("{what}\n{}{}", only(&documented, &found, "documented "), only(&found, &documented, "found      ")))
}
