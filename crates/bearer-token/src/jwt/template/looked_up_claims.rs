//! Claims whose strings are looked up for each JWT.
//!
//! Three claims can be looked up: `iss`, `sub` and `aud`. They name accounts, and accounts are in files that providers
//! hand out. Each string is checked again after each look-up, as the builder checks a literal one.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::values;
use crate::{
    error::{Error, ErrorKind, Retry},
    platform::Platform,
    value::Value,
};

/// The claims that are looked up, by their names.
#[derive(Clone, Default)]
pub(crate) struct LookedUpClaims(BTreeMap<&'static str, OneOrMany>);

impl LookedUpClaims {
    pub(super) fn insert(&mut self, name: &'static str, strings: OneOrMany) {
        self.0.insert(name, strings);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().copied()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(crate) fn have_changed(&self) -> bool {
        self.0.values().flat_map(OneOrMany::all).any(Value::has_changed)
    }

    /// The claims for one JWT.
    pub(crate) async fn read(&self, platform: &Platform) -> Result<Map<String, Json>, Error> {
        let mut claims = Map::new();
        for (name, strings) in &self.0 {
            let what = format!("the claim `{name}`");
            let mut found = Vec::new();
            for value in strings.all() {
                found.push(Json::from(look_up(&what, value, platform).await?));
            }
            let claim = match strings {
                OneOrMany::One(_) => found.pop().unwrap_or_default(),
                OneOrMany::Many(_) => Json::from(found),
            };
            claims.insert((*name).to_owned(), claim);
        }
        Ok(claims)
    }
}

/// The value of a claim: one string, or a list of strings.
#[derive(Clone)]
pub(super) enum OneOrMany {
    One(Value),
    /// A list, even of one: `aud` only.
    Many(Vec<Value>),
}

impl OneOrMany {
    pub(super) fn all(&self) -> &[Value] {
        match self {
            OneOrMany::One(one) => std::slice::from_ref(one),
            OneOrMany::Many(many) => many,
        }
    }

    /// The claim, if it is the same in all JWTs.
    pub(super) fn fixed(&self) -> Option<Json> {
        match self {
            OneOrMany::One(one) => one.fixed().map(Json::from),
            OneOrMany::Many(many) => many.iter().map(Value::fixed).collect::<Option<Vec<_>>>().map(Json::from),
        }
    }
}

/// A string that was looked up for one JWT. `what` names it.
///
/// An unusable value is an error that waits for a change. It names the file or the variable.
pub(crate) async fn look_up(what: &str, value: &Value, platform: &Platform) -> Result<String, Error> {
    let text = value.text_on(platform).await.map_err(|error| {
        let message = format!("{what} of the JWT: {error}");
        error.with_context(message)
    })?;
    match values::problem(what, &text) {
        None => Ok(text.to_string()),
        Some(problem) => {
            let message = format!("{what} of the JWT: {}: {}", value.place(), problem.message());
            Err(Error::new(ErrorKind::Source, message).with_retry(Retry::AfterChange))
        }
    }
}
