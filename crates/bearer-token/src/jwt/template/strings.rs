//! Registered claims that are strings: fixed ones, and those that are looked up for each JWT.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::{claims::Claims, values};
use crate::{
    error::{Error, ErrorKind, Retry},
    platform::Platform,
    problem::{Advice, Problem, Problems},
    value::Value,
};

/// The strings as a builder has them.
#[derive(Default)]
pub(crate) struct Strings {
    pub(crate) issuer: Option<Value>,
    pub(crate) subject: Option<Value>,
    pub(crate) audience: Option<Value>,
    pub(crate) audiences: Option<Vec<Value>>,
}

impl Strings {
    /// Checks the strings, and puts each among the claims that are fixed or among those that are looked up. Blocks.
    pub(crate) fn check(self, claims: &mut Claims, problems: &mut Problems) {
        let Strings { issuer, subject, audience, audiences } = self;
        if audience.is_some() && audiences.is_some() {
            let problem = Problem::new("audiences", "found beside a single audience").expecting("one of the two");
            problems.add(problem.advise(Advice::remove("audience")));
        }
        if audiences.as_ref().is_some_and(Vec::is_empty) {
            let problem = Problem::new("audiences", "found an empty list").expecting("at least one audience");
            problems.add(problem.advise(Advice::text("leave it out")));
        }
        for (name, method, strings) in [
            ("iss", "issuer", issuer.map(OneOrMany::One)),
            ("sub", "subject", subject.map(OneOrMany::One)),
            ("aud", "audience", audience.map(OneOrMany::One)),
            ("aud", "audiences", audiences.map(OneOrMany::Many)),
        ] {
            let Some(strings) = strings else { continue };
            strings.all().iter().filter_map(|one| problem(method, one)).for_each(|problem| problems.add(problem));
            let fixed = strings.fixed();
            if claims.fixed.get(name).is_some_and(|claim| fixed.as_ref() != Some(claim)) {
                let problem =
                    Problem::new(format!("claims.{name}"), "found a value that differs from the one set elsewhere");
                problems.add(problem.advise(Advice::text("remove this claim")).advise(Advice::remove(method)));
            }
            match fixed {
                Some(fixed) => drop(claims.fixed.insert(name.to_owned(), fixed)),
                None => drop(claims.looked_up.0.insert(name, strings)),
            }
        }
    }
}

/// What is wrong with a string as it is now.
pub(crate) fn problem(method: &str, value: &Value) -> Option<Problem> {
    match value.fixed() {
        Some(text) => values::problem(method, text),
        None => value.text_now(method).map_or_else(Some, |text| values::problem(method, &text)),
    }
}

/// A string that was looked up for one JWT. `what` names it.
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

enum OneOrMany {
    One(Value),
    Many(Vec<Value>),
}

impl OneOrMany {
    fn all(&self) -> &[Value] {
        match self {
            OneOrMany::One(one) => std::slice::from_ref(one),
            OneOrMany::Many(many) => many,
        }
    }

    /// The claim, if it is the same in all JWTs.
    fn fixed(&self) -> Option<Json> {
        match self {
            OneOrMany::One(one) => one.fixed().map(Json::from),
            OneOrMany::Many(many) => many.iter().map(Value::fixed).collect::<Option<Vec<_>>>().map(Json::from),
        }
    }
}

/// The claims that are looked up, by their names.
#[derive(Default)]
pub(crate) struct LookedUpClaims(BTreeMap<&'static str, OneOrMany>);

impl LookedUpClaims {
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
