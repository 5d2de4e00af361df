//! The facts of a provider: `expected/NAME.json`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::Value;

/// What the provider documents.
///
/// `"now + 60"` is a time. `{ "jwt": { "header": .., "claims": .. } }` is a JWT, `{ "prefix": "Bearer ", "jwt": .. }`
/// is one after a prefix, and `{ "basic": "id:secret" }` is HTTP Basic.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expected {
    #[serde(skip)]
    pub(crate) name: String,
    /// The number in the table of providers.
    pub(crate) row: u32,
    pub(crate) provider: String,
    pub(crate) flow: String,
    /// How far the facts are confirmed: `yes`, `partly` or `no`.
    pub(crate) confirmed: String,
    /// Files that the recipe names by their place in production, with their content; `null` for one that is written.
    #[serde(default)]
    pub(crate) files: BTreeMap<String, Value>,
    /// Environment variables that the recipe reads.
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    /// The secret that signs with HMAC: `{ "text": .. }` or `{ "hex": .. }`.
    pub(crate) secret: Option<BTreeMap<String, String>>,
    /// The token requests in their order, with the documented responses.
    pub(crate) exchanges: Vec<Exchange>,
    pub(crate) token: Value,
    /// Seconds until the token expires.
    pub(crate) expires_in: Option<u64>,
    /// Members of the response that are kept.
    #[serde(default)]
    pub(crate) kept: BTreeMap<String, String>,
    /// The request to the API, with all its headers.
    pub(crate) api: Api,
    /// HTTP statuses that reject the token.
    #[serde(default = "unauthorized")]
    pub(crate) rejects: Vec<u16>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exchange {
    pub(crate) request: Value,
    pub(crate) response: Response,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Api {
    pub(crate) url: String,
    pub(crate) headers: Value,
}

fn unauthorized() -> Vec<u16> {
    vec![401]
}

impl Expected {
    /// All of them, by name.
    pub(crate) fn all() -> Vec<Self> {
        names(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recipes/expected"), "json")
            .into_iter()
            .map(|(name, path)| {
                let facts: Self = serde_json::from_str(&fs::read_to_string(path).unwrap())
                    .unwrap_or_else(|error| panic!("{name}: {error}"));
                Expected { name, ..facts }
            })
            .collect()
    }

    pub(crate) fn recipe(&self) -> String {
        fs::read_to_string(directory().join(format!("{}.toml", self.name))).unwrap()
    }
}

/// Where the recipes are.
pub(crate) fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/providers")
}

/// The names of the recipes.
pub(crate) fn recipes() -> Vec<String> {
    names(&directory(), "toml").into_keys().collect()
}

fn names(directory: &Path, extension: &str) -> BTreeMap<String, PathBuf> {
    let paths = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), path))
        .collect()
}

/// Replaces the times in a value: `now`, `now + 60`, `now - 60`, and each with ` in ms`.
pub(crate) fn at(value: &Value, now: SystemTime) -> Value {
    match value {
        Value::String(text) => time(text, now).map_or_else(|| value.clone(), Value::from),
        Value::Array(list) => list.iter().map(|value| at(value, now)).collect(),
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), at(value, now))).collect(),
        _ => value.clone(),
    }
}

fn time(text: &str, now: SystemTime) -> Option<u64> {
    let rest = text.strip_prefix("now")?;
    let (rest, in_ms) = rest.strip_suffix(" in ms").map_or((rest, false), |rest| (rest, true));
    let seconds = |text: &str| text.parse().ok().map(Duration::from_secs);
    let time = match rest.split_at_checked(3) {
        None if rest.is_empty() => now,
        Some((" + ", rest)) => now + seconds(rest)?,
        Some((" - ", rest)) => now - seconds(rest)?,
        _ => return None,
    };
    let time = time.duration_since(UNIX_EPOCH).ok()?;
    Some(if in_ms { u64::try_from(time.as_millis()).ok()? } else { time.as_secs() })
}

/// Replaces each `{ "jwt": .. }` by a JWT with a signature that is not one.
pub(crate) fn encoded(value: &Value) -> Value {
    match value {
        Value::Object(members) => match members.get("jwt") {
            Some(jwt) => Value::from(encode(&jwt["header"], &jwt["claims"])),
            None => members.iter().map(|(name, value)| (name.clone(), encoded(value))).collect(),
        },
        Value::Array(list) => list.iter().map(encoded).collect(),
        _ => value.clone(),
    }
}

fn encode(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{}", part(header), part(claims), crate::signature::OF_OTHERS)
}
