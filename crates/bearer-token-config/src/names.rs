//! Turns the names of builders' methods into the names of fields.
//!
//! The path of a builder's problem is a method, and its advice names methods. Each section has a table of the fields
//! whose names differ. So a configuration reports the same problem in its own names.

use bearer_token::{Advice, Problem, Setting};

/// A section, and how the names of its fields differ from those of the methods.
pub(crate) struct Names {
    /// The path of the section.
    pub(crate) section: &'static str,
    pub(crate) names: &'static [Name],
}

/// A method, and the field that has the same effect.
pub(crate) struct Name {
    /// The method, as a problem's path or advice names it: `header`, `KeyReader::key_id`.
    call: &'static str,
    /// The path of the field within the section, or from the root if it begins with `/`. `None` if no field has this
    /// effect.
    field: Option<&'static str>,
    /// The value that the field must have for the same effect.
    value: Option<&'static str>,
}

/// A field with another name than the method.
pub(crate) const fn name(call: &'static str, field: &'static str) -> Name {
    Name { call, field: Some(field), value: None }
}

/// A field that has the effect of the method if it has this value.
pub(crate) const fn value(call: &'static str, field: &'static str, value: &'static str) -> Name {
    Name { call, field: Some(field), value: Some(value) }
}

/// A method that no field corresponds to. Advice about it is left out.
pub(crate) const fn nothing(call: &'static str) -> Name {
    Name { call, field: None, value: None }
}

impl Names {
    /// The problem in the names of the section's fields.
    pub(crate) fn translate(&self, problem: &Problem) -> Problem {
        let path = self.find(problem.path()).map_or_else(|| self.section.to_owned(), |(path, _)| path);
        let advice = problem.advice().iter().filter_map(|advice| self.advice(advice.clone()));
        problem.clone().at(path).with_advice(advice)
    }

    fn advice(&self, advice: Advice) -> Option<Advice> {
        let Some(Setting::Call(call)) = advice.setting() else { return Some(advice) };
        let (path, value) = self.find(call)?;
        let field = Setting::Field(path.into());
        Some(match (advice, value) {
            (Advice::TurnOn(_), _) => Advice::TurnOn(field),
            (Advice::SetTo(_, value), _) => Advice::SetTo(field, value),
            (Advice::Remove(_), _) => Advice::Remove(field),
            (Advice::DidYouMean(_), _) => Advice::DidYouMean(field),
            (_, Some(value)) => Advice::SetTo(field, value.into()),
            (_, None) => Advice::Set(field),
        })
    }

    /// The path of the field that corresponds to a method, and the value that the field must have.
    fn find(&self, call: &str) -> Option<(String, Option<&'static str>)> {
        let rest = |name: &Name| {
            let rest = call.strip_prefix(name.call)?;
            (rest.is_empty() || rest.starts_with(['.', '['])).then_some(rest)
        };
        match self.names.iter().find_map(|name| Some((name, rest(name)?))) {
            Some((Name { field, value, .. }, rest)) => Some((self.path((*field)?, rest), *value)),
            None => Some((self.path(call, ""), None)),
        }
    }

    fn path(&self, field: &str, rest: &str) -> String {
        match field.strip_prefix('/') {
            Some(field) => format!("{field}{rest}"),
            None if self.section.is_empty() => format!("{field}{rest}"),
            None if field.is_empty() => format!("{}{rest}", self.section),
            None => format!("{}.{field}{rest}", self.section),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: Names = Names {
        section: "jwt",
        names: &[
            name("header", "headers"),
            value("SigningKey::hmac", "key.encoding", "text"),
            name("JwtBearer::new", "/jwt"),
            nothing("backdate"),
        ],
    };

    #[test]
    fn paths_and_advice_get_the_names_of_fields() {
        for (path, advice, expected) in [
            ("header.kid", Advice::remove("header"), "jwt.headers.kid: found x: remove `jwt.headers`"),
            ("headers", Advice::turn_on("issuer"), "jwt.headers: found x: set `jwt.issuer = true`"),
            ("", Advice::set("SigningKey::hmac"), "jwt: found x: set `jwt.key.encoding = \"text\"`"),
            ("backdate", Advice::set("backdate"), "jwt: found x"),
            ("issuer[1]", Advice::set("JwtBearer::new"), "jwt.issuer[1]: found x: set `jwt`"),
            ("issuer", Advice::text("change it"), "jwt.issuer: found x: change it"),
        ] {
            let problem = Problem::new(path, "found x").advise(advice);
            assert_eq!(NAMES.translate(&problem).to_string(), expected);
        }
    }
}
