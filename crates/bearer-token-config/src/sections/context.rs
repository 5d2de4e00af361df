//! What sections are built with: it reads values, builds sources, and collects what is wrong.

#[cfg(feature = "http-transport")]
use std::sync::Arc;
use std::{collections::BTreeSet, path::Path};

#[cfg(feature = "http-transport")]
use bearer_token::transport::HttpTransport;
use bearer_token::{
    Advice, Encoding, Problem, StaticToken, TokenProvider, TokenProviderBuilder, Value, oauth::TokenEndpointBuilder,
    platform::Platform,
};
use zeroize::Zeroizing;

pub(crate) use self::{
    sharing::Sharing,
    sources::{Feed, Sources},
};
use super::stand_in::StandIn;
#[cfg(feature = "http-transport")]
use crate::kept::Settings;
use crate::{
    given::Given,
    kept::Kept,
    report::{Report, error_at},
    values::{Origin, ValueField, can_be_read, read_variable, reference_problem, text_problem},
};

mod secret;
mod sharing;
mod sources;

/// Sets the transport of a token endpoint, which may use the stand-in in place of a server.
pub(crate) type SetTransport = Box<dyn Fn(TokenEndpointBuilder, StandIn) -> TokenEndpointBuilder + Send + Sync>;

/// What sections are built with: it reads values, builds sources, and collects what is wrong.
pub(crate) struct Context<'a> {
    pub(crate) report: Report,
    pub(super) directory: &'a Path,
    pub(super) transport: Option<&'a SetTransport>,
    pub(super) platform: Option<&'a Platform>,
    pub(super) sources: Sources<'a>,
    pub(crate) given: Given<'a>,
    pub(crate) kept: Option<&'a Kept>,
    /// With which fleet, and under which name, the provider's tokens are shared.
    pub(crate) sharing: Option<&'a Sharing>,
    /// Whether there is a section `shared`, also one with problems.
    pub(crate) has_shared_section: bool,
    /// Nothing is to be written.
    pub(crate) is_dry_run: bool,
    /// The hosts that a variable may choose from.
    pub(crate) hosts: &'a [String],
    /// The name of the variable of each use.
    pub(super) used: Vec<String>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        directory: &'a Path,
        transport: Option<&'a SetTransport>,
        platform: Option<&'a Platform>,
        sources: Sources<'a>,
    ) -> Self {
        Context {
            report: Report::default(),
            directory,
            transport,
            platform,
            sources,
            given: Given::Nothing,
            kept: None,
            sharing: None,
            has_shared_section: false,
            is_dry_run: false,
            hosts: &[],
            used: Vec::new(),
        }
    }

    /// A field that must be present.
    pub(super) fn required<'f, T>(
        &mut self,
        path: &str,
        field: Option<&'f T>,
        expected: &'static str,
    ) -> Option<&'f T> {
        if field.is_none() {
            self.report.add(Problem::new(path, "found nothing").expecting(expected));
        }
        field
    }

    /// A string as it is now, for a field that is read once.
    pub(super) fn text(&mut self, path: &str, field: &ValueField) -> Option<Zeroizing<String>> {
        let text = match &field.origin {
            Origin::Plain(text) | Origin::Value(text)
                if field.steps.is_encoding_only() && field.steps.encoding() == Encoding::Text =>
            {
                // A builder may have its own words for an empty string, for example.
                let reference = || plain_reference(field, "value");
                text_problem(text).or_else(reference).map_or(Ok(text.clone()), |problem| Err(problem.at(path)))
            }
            _ => self.read_now(path, field, Value::read_now),
        };
        self.reported(text)
    }

    /// A value that is read again for each token request. It is read now as well, as far as it can be.
    pub(super) fn value(&mut self, path: &str, field: &ValueField) -> Option<Value> {
        self.value_read_by(path, field, false, |value| value.read_now().map(drop))
    }

    /// A value that is read again, and may have several lines.
    pub(super) fn bytes_value(&mut self, path: &str, field: &ValueField) -> Option<Value> {
        self.value_read_by(path, field, true, |value| value.read_bytes_now().map(drop))
    }

    fn value_read_by(
        &mut self,
        path: &str,
        field: &ValueField,
        has_lines: bool,
        read: impl FnOnce(&Value) -> Result<(), bearer_token::Error>,
    ) -> Option<Value> {
        let value = self.unread_value(path, field, has_lines).and_then(|value| {
            if !matches!(field.origin, Origin::Source(_)) {
                read(&value).map_err(|error| error_at(path, &error))?;
            }
            Ok(value)
        });
        self.reported(value)
    }

    /// The value of a variable, which the selector of a keyed provider gives.
    pub(super) fn variable(&mut self, path: &str, name: &str) -> Result<String, Problem> {
        let value = match self.given {
            Given::Nothing => return Err(no_variables(path, name)),
            Given::Rehearsal => STAND_IN.to_owned(),
            Given::Values(values) => values.get(name).cloned().ok_or_else(|| no_variables(path, name))?,
        };
        self.used.push(name.to_owned());
        Ok(value)
    }

    /// Reports a variable where all keys have the same value, and whether there was one.
    pub(super) fn has_variable(&mut self, path: &str, field: &ValueField) -> bool {
        let Origin::Variable(name) = &field.origin else { return false };
        let found = format!("found the variable `{name}`, but this value is the same for all keys");
        self.report.add(Problem::new(format!("{path}.variable"), found).expecting("`value`, `file` or `env`"));
        true
    }

    /// A word of a scope. From a variable it must be one word: its value could ask for another scope besides.
    pub(super) fn scope_word(&mut self, path: &str, field: &ValueField) -> Option<Zeroizing<String>> {
        let word = self.text(path, field)?;
        if matches!(field.origin, Origin::Variable(_)) && word.contains(char::is_whitespace) {
            let problem = Problem::new(format!("{path}.variable"), "found white space in the value of a variable");
            self.report.add(problem.expecting("one word of the scope (RFC 6749 section 3.3)"));
            return None;
        }
        Some(word)
    }

    /// Whether only a stand-in is known of a value.
    pub(super) fn is_stand_in(&self, field: &ValueField) -> bool {
        matches!((&field.origin, self.given), (Origin::Variable(_), Given::Rehearsal))
    }

    /// The names of the variables that were used.
    pub(crate) fn used_variables(&self) -> BTreeSet<String> {
        self.used.iter().cloned().collect()
    }

    /// Whether a variable was used after the first `uses` uses.
    pub(super) fn has_used_since(&self, uses: usize) -> bool {
        self.used.len() > uses
    }

    /// The names and values of the variables that were used after the first `uses` uses.
    #[cfg(feature = "http-transport")]
    pub(super) fn variables_since(&self, uses: usize) -> impl Iterator<Item = (&str, &str)> {
        let values = match self.given {
            Given::Values(values) => Some(values),
            Given::Nothing | Given::Rehearsal => None,
        };
        let used: BTreeSet<_> = self.used.iter().skip(uses).map(String::as_str).collect();
        used.into_iter().filter_map(move |name| Some((name, values?.get(name)?.as_str())))
    }

    /// The HTTP client of another key of the configuration, with the same settings.
    #[cfg(feature = "http-transport")]
    pub(super) fn kept_transport(&self, settings: &Settings) -> Option<Arc<HttpTransport>> {
        self.kept?.transports.get(settings)
    }

    fn reported<T>(&mut self, result: Result<T, Problem>) -> Option<T> {
        result.map_err(|problem| self.report.add(problem)).ok()
    }

    fn read_now<T>(
        &mut self,
        path: &str,
        field: &ValueField,
        read: impl FnOnce(&Value) -> Result<T, bearer_token::Error>,
    ) -> Result<T, Problem> {
        if let Origin::Source(name) = &field.origin {
            self.source(path, name)?;
            let problem =
                Problem::new(format!("{path}.source"), "found the token of a source in a field that is read once");
            return Err(problem.expecting("`value`, `file` or `env`"));
        }
        let value = self.unread_value(path, field, false)?;
        read(&value).map_err(|error| error_at(path, &error))
    }

    /// The value, which is not read yet. With `has_lines`, it may have several lines.
    fn unread_value(&mut self, path: &str, field: &ValueField, has_lines: bool) -> Result<Value, Problem> {
        let value = match &field.origin {
            Origin::Plain(text) | Origin::Value(text) => {
                if let Some(problem) = text_problem(text).filter(|_| !has_lines && field.steps.member.is_none()) {
                    return Err(problem.at(path));
                }
                if let Some(problem) = plain_reference(field, "value") {
                    return Err(problem.at(path));
                }
                if text.is_empty() {
                    return Err(Problem::new(path, "found an empty string").expecting("the value itself"));
                }
                Value::from(text.as_str())
            }
            Origin::File(file) => {
                let file = self.directory.join(file);
                can_be_read(&file).map_err(|problem| problem.at(path))?;
                Value::file(file)
            }
            Origin::Env(name) => {
                read_variable(path, name)?;
                Value::env(name)
            }
            Origin::Source(name) => Value::token_of(self.source(path, name)?),
            Origin::Variable(name) => Value::from(self.variable(&format!("{path}.variable"), name)?),
            Origin::Unclear(found) => return Err(unclear(path, found)),
        };
        let steps = &field.steps;
        if steps.fresh && !matches!(field.origin, Origin::Source(_)) {
            let problem = Problem::new(format!("{path}.fresh"), "found `fresh` beside a value that is not a `source`");
            return Err(problem.advise(Advice::text("remove it")));
        }
        let value = if steps.fresh { value.fresh() } else { value };
        let value = match &steps.member {
            Some(pointer) if !pointer.starts_with('/') => {
                let problem = Problem::new(format!("{path}.member"), "found a string that does not begin with `/`");
                return Err(problem.expecting("a JSON pointer such as `/private_key` (RFC 6901)"));
            }
            Some(pointer) => value.member(pointer),
            None => value,
        };
        let value = match steps.part.as_deref().map(|part| part.split_once(' ')) {
            None => value,
            Some(Some(("before", separator))) if !separator.is_empty() => value.before(separator),
            Some(Some(("after", separator))) if !separator.is_empty() => value.after(separator),
            Some(_) => {
                let problem = Problem::new(format!("{path}.part"), "found another string");
                return Err(problem.expecting("`before :` or `after :`, with any separator in place of the colon"));
            }
        };
        // The steps so far could not read a stand-in.
        let value = if self.is_stand_in(field) { Value::from(STAND_IN) } else { value.encoding(steps.encoding()) };
        let value = steps.prefix.iter().fold(value, |value, prefix| value.prefix(prefix.as_str()));
        Ok(steps.suffix.iter().fold(value, |value, suffix| value.suffix(suffix.as_str())))
    }
}

/// A stand-in where there is no source. It is never built, because problems were reported.
pub(crate) fn no_source() -> TokenProviderBuilder {
    TokenProvider::builder(StaticToken::new(""))
}

/// The problem with a plain string that looks like a reference to an environment variable.
fn plain_reference(field: &ValueField, what: &'static str) -> Option<Problem> {
    match &field.origin {
        Origin::Plain(text) => reference_problem(text, what),
        _ => None,
    }
}

/// The stand-in value of each variable while a keyed configuration is checked.
const STAND_IN: &str = "x";

fn unclear(path: &str, found: &[&'static str]) -> Problem {
    let names: Vec<_> = found.iter().map(|name| format!("`{name}`")).collect();
    let problem = match names.as_slice() {
        [] => Problem::new(path, "found a table that does not say where the value is"),
        names => Problem::new(path, format!("found {} in one table", names.join(" and "))),
    };
    problem.expecting("exactly one of `value`, `file`, `env`, `source` and `variable`")
}

fn no_variables(path: &str, name: &str) -> Problem {
    let found = format!("found the variable `{name}`, which only a keyed provider gives a value");
    Problem::new(path, found)
        .expecting("`value`, `file`, `env` or `source`")
        .advise(Advice::text("build a `KeyedConfig` from this file, with a selector that sets the variable"))
}
