//! Runs one recipe.

use std::{any::Any, fs, path::Path, time::Duration};

use bearer_token::{
    Authorized, Error, TokenProvider,
    platform::{Clock, Entropy, Platform},
};
use bearer_token_config::ProviderConfig;
use bearer_token_testing::ManualClock;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use serde_json::{Value, json};

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

/// What differs from the documentation, if anything does.
#[allow(clippy::disallowed_methods, reason = "a test spawns as it likes")]
pub(crate) async fn run(expected: Expected) -> Result<(), String> {
    // In a task, so that a panic belongs to its recipe.
    tokio::spawn(check(expected)).await.unwrap_or_else(|error| Err(message(&*error.into_panic())))
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic").to_owned()
}

async fn check(expected: Expected) -> Result<(), String> {
    let clock = ManualClock::new();
    let now = clock.now().wall();
    let keys = Keys::new(expected.secret.as_ref());
    let resolved = |value: &Value| at(value, now);

    let recorder = Recorder::new(expected.exchanges.iter().map(|exchange| response(exchange, &resolved)));
    let directory = tempfile::tempdir().unwrap();
    let recipe = with_files(&expected, directory.path(), &resolved);
    let provider = provider(&recipe, &clock, &recorder).map_err(|error| problems(&error))?;

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

fn provider(recipe: &str, clock: &ManualClock, recorder: &Recorder) -> Result<TokenProvider, Error> {
    ProviderConfig::from_toml(recipe)?
        .relative_to(directory())
        .transport(recorder.clone())
        .platform(Platform::system().with_clock(clock.clone()).with_entropy(Ones))
        .build()
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

/// The recipe, with files of its own in place of those of production.
fn with_files(expected: &Expected, directory: &Path, resolved: &impl Fn(&Value) -> Value) -> String {
    let mut recipe = expected.recipe();
    for (path, content) in &expected.files {
        let file = directory.join(Path::new(path).file_name().unwrap());
        if let Some(content) = encoded(&resolved(content)).as_str() {
            fs::write(&file, content).unwrap();
        }
        assert!(recipe.contains(path), "the recipe names the file {path}");
        recipe = recipe.replace(path, file.to_str().unwrap());
    }
    recipe
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
