//! Fields from environment variables.

use std::{borrow::Cow, ffi::OsString};

use serde_json::{Map, Number, Value};

use crate::problem::{Advice, Problem, Problems, Setting};

/// Between the names of a table and its field, as a single `_` is a part of names.
const BETWEEN: &str = "__";

/// The variables that fields were taken from.
#[derive(Default)]
pub(super) struct Variables {
    found: Vec<Variable>,
    /// With which all names begin, if nothing but variables was read: then fields that are missing are variables too.
    prefix: Option<String>,
    problems: Problems,
    /// The fields that are there, but could not be read.
    unread: Vec<String>,
}

struct Variable {
    name: String,
    path: Vec<String>,
    /// The path as problems have it.
    field: String,
}

impl Variables {
    /// Nothing is read but variables with this prefix.
    pub(super) fn alone(prefix: &str) -> Self {
        Variables { prefix: Some(prefix.to_owned()), ..Variables::default() }
    }

    /// Puts the variables with this prefix into the value, over what is there.
    pub(super) fn put_into(
        &mut self,
        value: &mut Value,
        prefix: &str,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) {
        if prefix.is_empty() {
            let message = "found no prefix for the environment variables; expected one, such as `BEARER_TOKEN_`";
            return self.problems.push("environment", message);
        }
        let mut texts = Vec::new();
        for (name, text) in variables {
            let name = name.to_string_lossy();
            let Some(rest) = name.strip_prefix(prefix) else { continue };
            let path: Vec<String> = rest.split(BETWEEN).map(field_name).collect();
            if path.iter().any(String::is_empty) {
                let message =
                    format!("expected the name of a field after `{prefix}`, with `{BETWEEN}` inside of tables");
                self.problems.push(name, message);
                continue;
            }
            texts.push((Variable { name: name.into_owned(), field: path.join("."), path }, text));
        }
        // A table comes before its fields.
        texts.sort_by(|(one, _), (other, _)| (&one.path, &one.name).cmp(&(&other.path, &other.name)));
        for (variable, _) in &texts {
            if let Some((table, _)) = variable.path.split_last_chunk::<1>().filter(|(table, _)| is_secret(table)) {
                // A secret is one thing: its file in a variable does not go with its value in a file.
                remove(value, table);
            }
        }
        let earlier = self.found.len();
        for (variable, text) in texts {
            match (self.beside(&variable, earlier), text.into_string()) {
                (Some(other), _) => {
                    let message = format!("found beside `{other}`, which gives the same; expected one of the two");
                    self.problems.push(&variable.name, message);
                    self.unread.push(variable.field.clone());
                }
                (None, Err(_)) => {
                    self.problems.push(&variable.name, "the value is not UTF-8");
                    self.unread.push(variable.field.clone());
                }
                (None, Ok(text)) => insert(value, &variable.path, read(&variable.path, text)),
            }
            self.found.push(variable);
        }
    }

    /// What a variable's text may stand for where the field at this path does not take a text.
    pub(super) fn reread(&self, field: &str, found: &Value, message: &str) -> Option<Value> {
        let text = found.as_str().filter(|_| self.found.iter().any(|variable| variable.field == field))?;
        match parse(text).filter(|value| !value.is_string()) {
            None if message.contains("expected a sequence") && !text.starts_with('[') => Some(split(text)),
            value => value,
        }
    }

    /// Adds what is wrong with the variables, and calls what comes from one by its name.
    pub(super) fn report(self, problems: &Problems) -> Problems {
        let mut reported = Problems::default();
        for problem in problems.iter() {
            reported.add(self.rename(problem));
        }
        reported.extend(self.problems);
        reported
    }

    pub(super) fn unread(&self) -> &[String] {
        &self.unread
    }

    /// The variable that gives the same field, or a table with it, at the same time.
    fn beside(&self, variable: &Variable, earlier: usize) -> Option<&str> {
        let same = self.found.iter().skip(earlier).find(|other| variable.path.starts_with(&other.path));
        same.map(|other| other.name.as_str())
    }

    /// The problem with fields called by the variables that give them.
    fn rename(&self, problem: &Problem) -> Problem {
        let variable = |field: &Cow<'static, str>| match self.name(field) {
            Some(name) => Setting::Variable(name.into()),
            None => Setting::Field(field.clone()),
        };
        let advice = problem.advice().iter().map(|advice| match advice.clone() {
            Advice::TurnOn(Setting::Field(field)) => Advice::TurnOn(variable(&field)),
            Advice::Set(Setting::Field(field)) => Advice::Set(variable(&field)),
            Advice::SetTo(Setting::Field(field), value) => Advice::SetTo(variable(&field), value),
            Advice::Remove(Setting::Field(field)) => Advice::Remove(variable(&field)),
            other => other,
        });
        let path = self.name(problem.path()).unwrap_or_else(|| problem.path().to_owned());
        problem.clone().at(path).with_advice(advice)
    }

    /// The variable that gives this field, if one does or nothing else could.
    fn name(&self, path: &str) -> Option<String> {
        let within = |variable: &Variable| {
            let rest = path.strip_prefix(&variable.field)?;
            (rest.is_empty() || rest.starts_with(['.', '['])).then(|| format!("{}{rest}", variable.name))
        };
        // A part of a secret stands for the secret: `.._KEY__FILE`.
        let part = |variable: &Variable| {
            let rest = variable.field.strip_prefix(path)?.strip_prefix('.')?;
            is_secret_part(rest).then(|| variable.name.clone())
        };
        let given = self.found.iter().rev().find_map(within).or_else(|| self.found.iter().rev().find_map(part));
        given.or_else(|| Some(format!("{}{}", self.prefix.as_ref()?, path.replace('.', BETWEEN).to_uppercase())))
    }
}

fn is_secret_part(name: &str) -> bool {
    matches!(name, "value" | "file" | "env")
}

/// A name in capitals is the same in small letters; others, which fields of your own may have, are as they are.
fn field_name(name: &str) -> String {
    if name.chars().any(char::is_lowercase) { name.to_owned() } else { name.to_lowercase() }
}

/// The fields that are a secret: a text, or a table.
pub(super) fn is_secret(path: &[String]) -> bool {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    matches!(
        path[..],
        ["token"]
            | ["jwt", "key" | "passphrase"]
            | ["refresh_token", "initial"]
            | ["token_endpoint", "client", "key" | "passphrase" | "secret"]
            | ["token_endpoint", "headers" | "parameters", _]
    )
}

/// The one field that takes a text and a list both; all others are read as what they want.
pub(super) fn read(path: &[String], text: String) -> Value {
    let list = if path == ["jwt", "audience"] { parse(&text).filter(Value::is_array) } else { None };
    list.unwrap_or(Value::String(text))
}

fn parse(text: &str) -> Option<Value> {
    text.trim().parse().ok().and_then(json)
}

/// The same in JSON, which has neither times nor infinities: those are left to be texts.
fn json(value: toml::Value) -> Option<Value> {
    Some(match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => Number::from_f64(number)?.into(),
        toml::Value::Boolean(value) => value.into(),
        toml::Value::Datetime(_) => return None,
        toml::Value::Array(values) => values.into_iter().map(json).collect::<Option<Vec<_>>>()?.into(),
        toml::Value::Table(table) => {
            table.into_iter().map(|(name, value)| Some((name, json(value)?))).collect::<Option<Map<_, _>>>()?.into()
        }
    })
}

fn split(text: &str) -> Value {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect()
}

fn remove(value: &mut Value, path: &[String]) {
    let Some((last, parents)) = path.split_last() else { return };
    let parent = parents.iter().try_fold(value, |value, name| value.get_mut(name));
    if let Some(Value::Object(parent)) = parent {
        parent.remove(last);
    }
}

/// Leaves alone what has a field in place of a table: that is reported.
fn insert(value: &mut Value, path: &[String], inserted: Value) {
    let Some((last, parents)) = path.split_last() else { return };
    let parent = parents.iter().try_fold(value, |value, name| {
        let empty = || Value::Object(Map::new());
        value.as_object_mut().map(|table| table.entry(name).or_insert_with(empty))
    });
    if let Some(Value::Object(parent)) = parent {
        parent.insert(last.clone(), inserted);
    }
}
