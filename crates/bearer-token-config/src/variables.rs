//! Fields from environment variables.

use std::{collections::BTreeMap, ffi::OsString};

use bearer_token::{Advice, Problem, Setting};
use serde_json::{Map, Number, Value};

use crate::{
    report::{self, ROOT, Report, UNKNOWN_FIELD, is_within},
    sections::FIELDS,
    values::{ORIGINS, members, path_in_variable},
};

/// Separates a table from its field. A single `_` is part of a name.
const SEPARATOR: &str = "__";

/// How many tables may be inside each other. No field is so deep, and JSON and TOML have bounds of their own.
const MOST_LEVELS: usize = 64;

/// The member that names the variable of a value.
const ENV: &str = "env";

/// The path of a problem with the variables as a whole.
const ENVIRONMENT: &str = "environment";

/// The variables that fields were taken from.
#[derive(Default)]
pub(crate) struct EnvVariables {
    found: Vec<Variable>,
    /// The beginning of their names.
    prefix: String,
    /// Whether there is no file. Then problems name a missing field by its variable, too.
    alone: bool,
    /// Problems with fields that variables set.
    report: Report,
    /// Problems with variables that set no field.
    others: Vec<Problem>,
}

struct Variable {
    name: String,
    path: Vec<String>,
    /// The path of the field, as problems show it.
    field: String,
}

impl EnvVariables {
    /// Reads environment variables only.
    pub(crate) fn alone() -> Self {
        EnvVariables { alone: true, ..EnvVariables::default() }
    }

    /// Puts the variables with this prefix into the value, over what is there.
    pub(crate) fn put_into(
        &mut self,
        value: &mut Value,
        prefix: &str,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) {
        prefix.clone_into(&mut self.prefix);
        if prefix.is_empty() {
            let problem = Problem::new(ENVIRONMENT, "found no prefix for the environment variables");
            return self.others.push(problem.expecting("one, such as `BEARER_TOKEN_`"));
        }
        let mut texts = Vec::new();
        for (name, text) in variables {
            let name = name.to_string_lossy();
            let Some(rest) = name.strip_prefix(prefix) else { continue };
            let path: Vec<String> = rest.split(SEPARATOR).map(field_name).collect();
            if path.iter().any(String::is_empty) {
                let problem = Problem::new(name, "found a variable without the name of a field");
                let expected = format!("one after `{prefix}`, with `{SEPARATOR}` between a table and its field");
                self.others.push(problem.expecting(expected));
                continue;
            }
            if path.len() > MOST_LEVELS {
                let problem = Problem::new(name, format!("found a field inside of {} tables", path.len() - 1));
                self.others
                    .push(problem.expecting(format!("at most {MOST_LEVELS} names with `{SEPARATOR}` between them")));
                continue;
            }
            texts.push((Variable { name: name.into_owned(), field: path.join("."), path }, text));
        }
        let mut named = BTreeMap::new();
        named_variables("", value, &mut named);
        named.extend(texts.iter().filter_map(|(variable, text)| {
            let (env, place) = variable.path.split_last()?;
            (env == ENV).then(|| Some((text.to_str()?.to_owned(), place.join("."))))?
        }));
        texts.retain(|(variable, _)| match named.get(&variable.name).filter(|place| **place != variable.field) {
            Some(place) => {
                self.others.push(named_with_prefix(&variable.name, place, prefix));
                false
            }
            None => true,
        });
        // A table comes before its fields.
        texts.sort_by(|(one, _), (other, _)| (&one.path, &one.name).cmp(&(&other.path, &other.name)));
        for (variable, _) in &texts {
            if let Some((table, _)) = variable
                .path
                .split_last_chunk::<1>()
                .filter(|(table, [part])| ORIGINS.contains(&part.as_str()) && is_value(table))
            {
                // A value is one thing: its file in a variable does not go with its value in a file.
                remove(value, table);
            }
        }
        let earlier = self.found.len();
        for (variable, text) in texts {
            match (self.beside(&variable, earlier), text.into_string()) {
                (Some(other), _) => {
                    let problem = Problem::new(&variable.name, format!("found beside `{other}`, which sets the same"));
                    self.report.add_unread(problem.expecting("one of the two").at(&variable.field));
                }
                (None, Err(_)) => {
                    let problem = Problem::new(&variable.field, "found a value that is not UTF-8");
                    self.report.add_unread(problem);
                }
                (None, Ok(text)) => insert(value, &variable.path, read(&variable.path, text)),
            }
            self.found.push(variable);
        }
    }

    /// The value that a variable's string means, if the field at this path is not a string.
    pub(crate) fn reread(&self, field: &str, found: &Value, message: &str) -> Option<Value> {
        let text = found.as_str().filter(|_| self.found.iter().any(|variable| variable.field == field))?;
        match parse(text).filter(|value| !value.is_string()) {
            None if message.contains("expected a sequence") && !text.starts_with('[') => Some(split(text)),
            value => value,
        }
    }

    /// Moves the problems with fields that variables set into the report.
    pub(crate) fn report_to(&mut self, report: &mut Report) {
        report.append(std::mem::take(&mut self.report));
    }

    /// All problems, in the names of variables where fields come from them.
    pub(crate) fn rename_all(&self, report: Report) -> Vec<Problem> {
        let renamed = report.into_problems().into_iter().map(|problem| self.rename(problem));
        report::without_repetition(renamed.chain(self.others.iter().cloned()))
    }

    /// The problem in the names of variables, if one sets the field or nothing else could.
    fn rename(&self, problem: Problem) -> Problem {
        if self.alone && problem.path() == ROOT {
            return self.with_variables(&problem).at(ENVIRONMENT);
        }
        let Some(name) = self.name(problem.path()) else { return problem };
        if let Some(problem) = path_in_variable(&problem, &name) {
            return problem;
        }
        if problem.found() == UNKNOWN_FIELD {
            let rest = name.strip_prefix(&self.prefix).unwrap_or(&name);
            if is_from_kubernetes(rest) {
                return Problem::new(name, "found a variable that Kubernetes sets for a service")
                    .expecting("the name of a field after the prefix")
                    .advise(Advice::text("set `enableServiceLinks: false` in the pod's specification"))
                    .advise(Advice::text("use a prefix that is not the name of a service"));
            }
        }
        self.with_variables(&problem).at(name)
    }

    /// The problem with variables in place of the fields that its advice names.
    fn with_variables(&self, problem: &Problem) -> Problem {
        let variable = |field: &str| self.given(field).unwrap_or_else(|| self.variable(field));
        report::with_fields(problem, |field| Setting::Variable(variable(field).into()))
    }

    /// Another variable that sets the same field, or a table that contains it.
    fn beside(&self, variable: &Variable, earlier: usize) -> Option<&str> {
        let same = self.found.iter().skip(earlier).find(|other| variable.path.starts_with(&other.path));
        same.map(|other| other.name.as_str())
    }

    fn name(&self, path: &str) -> Option<String> {
        self.given(path).or_else(|| self.alone.then(|| self.variable(path)))
    }

    /// The variable that was given for this field.
    fn given(&self, path: &str) -> Option<String> {
        let within = |variable: &Variable| {
            is_within(path, &variable.field).then(|| format!("{}{}", variable.name, &path[variable.field.len()..]))
        };
        // A part of a secret stands for the secret: `.._KEY__FILE`.
        let part = |variable: &Variable| {
            let part = variable.field.strip_prefix(path)?.strip_prefix('.')?;
            members().any(|member| member == part).then(|| variable.name.clone())
        };
        self.found.iter().rev().find_map(within).or_else(|| self.found.iter().rev().find_map(part))
    }

    /// The beginning of the variables that set the fields of this table, if all fields are set by variables.
    pub(crate) fn prefix_of(&self, table: &str) -> Option<String> {
        self.alone.then(|| format!("{}{SEPARATOR}", self.variable(table)))
    }

    /// The variable that would set this field.
    fn variable(&self, field: &str) -> String {
        let (field, index) = field.split_at(field.find('[').unwrap_or(field.len()));
        format!("{}{}{index}", self.prefix, field.replace('.', SEPARATOR).to_uppercase())
    }
}

/// Finds the variables that `{ env = ".." }` names, each with the path of the value that it is for.
fn named_variables(path: &str, value: &Value, named: &mut BTreeMap<String, String>) {
    let within = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match value.as_str().filter(|_| name == ENV) {
                    Some(variable) => drop(named.insert(variable.to_owned(), path.to_owned())),
                    None => named_variables(&within(name), value, named),
                }
            }
        }
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                named_variables(&format!("{path}[{index}]"), value, named);
            }
        }
        _ => {}
    }
}

/// A variable that a field names, and that would set another field because of its prefix.
fn named_with_prefix(name: &str, place: &str, prefix: &str) -> Problem {
    Problem::new(name, format!("found the variable of `{place}` with the prefix `{prefix}`, as if it were a field"))
        .expecting("a name that begins in another way, because every variable with the prefix sets a field")
        .advise(Advice::text("rename the variable, and write its new name there"))
        .advise(Advice::text("use another prefix for the fields"))
}

/// The name of the field. A name in capitals is lowercased. A name with a small letter is kept, because it is a member
/// whose name is the user's choice.
fn field_name(name: &str) -> String {
    if name.chars().any(char::is_lowercase) { name.to_owned() } else { name.to_lowercase() }
}

/// The variables of a service that Kubernetes sets in each pod: `_SERVICE_HOST`, `_PORT_443_TCP_ADDR` and the like.
fn is_from_kubernetes(rest: &str) -> bool {
    let is_port = |rest: &str| {
        let mut parts = rest.split('_');
        let number =
            parts.next().is_some_and(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
        number && matches!(parts.next(), Some("TCP" | "UDP" | "SCTP")) && parts.count() <= 1
    };
    rest == "SERVICE_HOST"
        || rest == "PORT"
        || rest.starts_with("SERVICE_PORT")
        || rest.strip_prefix("PORT_").is_some_and(is_port)
}

/// Whether the field is a value: it takes a string, and a table that says where it is.
fn is_value(path: &[String]) -> bool {
    let place = Value::Object(Map::from_iter([("env".to_owned(), Value::from("NAME"))]));
    let is_free = || path.iter().any(|name| name == "claims" || name == "headers") && FIELDS.accepts(path, 1.into());
    !path.is_empty() && FIELDS.accepts(path, "a string".into()) && FIELDS.accepts(path, place) && !is_free()
}

/// The string of a variable as a value of the field. A list is read only if the field takes both a string and a list.
fn read(path: &[String], text: String) -> Value {
    let takes_both = || {
        let list = Value::Array(vec!["a string".into()]);
        FIELDS.accepts(path, "a string".into()) && FIELDS.accepts(path, list) && !FIELDS.accepts(path, 1.into())
    };
    let list =
        if text.trim_start().starts_with('[') && takes_both() { parse(&text).filter(Value::is_array) } else { None };
    list.unwrap_or(Value::String(text))
}

fn parse(text: &str) -> Option<Value> {
    text.trim().parse().ok().and_then(json)
}

/// Converts TOML to JSON. `None` for a date or an infinity, which JSON does not have.
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

/// Inserts a value at a path. Does nothing if a parent is not a table, which is reported elsewhere.
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
