//! Registered claims that are strings, as a builder has them.
//!
//! The builder's methods for registered claims take a value, and only `build()` knows whether it is a literal. A
//! literal moves to the fixed claims, everything else to those that are looked up.

use super::{claims::Claims, looked_up_claims::OneOrMany, values};
use crate::{
    problem::{Advice, Problem, Problems},
    value::Value,
};

/// The strings as a builder has them.
#[derive(Clone, Default)]
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
                None => claims.looked_up.insert(name, strings),
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
