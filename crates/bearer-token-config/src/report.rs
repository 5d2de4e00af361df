//! Everything that is wrong with a configuration, collected by the paths of its fields.

use std::{borrow::Cow, collections::BTreeSet};

use bearer_token::{Advice, Problem, Setting};

use crate::names::Names;

/// The path of a problem with the configuration as a whole.
pub(crate) const ROOT: &str = "configuration";

/// What is found where a field does not exist.
pub(crate) const UNKNOWN_FIELD: &str = "found a field that does not exist";

/// The problems so far, and the fields that could not be read.
#[derive(Clone, Default)]
pub(crate) struct Report {
    problems: Vec<Problem>,
    /// Problems of parts, with their whole paths.
    inside: Vec<Problem>,
    unread: Vec<String>,
    /// Absent fields that unknown ones were probably meant to be.
    meant: Vec<String>,
}

impl Report {
    pub(crate) fn add(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Reports a problem that needs one clause only.
    pub(crate) fn push(&mut self, path: impl Into<String>, found: impl Into<Cow<'static, str>>) {
        self.add(Problem::new(path, found));
    }

    /// Reports a field that is present but could not be read. Further problems that follow from that are left out.
    pub(crate) fn add_unread(&mut self, problem: Problem) {
        self.unread.push(problem.path().to_owned());
        self.add(problem);
    }

    /// Notes an absent field that an unknown field was probably meant to be.
    pub(crate) fn add_meant(&mut self, field: &str) {
        self.meant.push(field.to_owned());
    }

    /// Adds the problems of a builder. The names of methods are replaced by those of the section's fields.
    pub(crate) fn add_translated(&mut self, names: &Names, error: &bearer_token::Error) {
        self.problems.extend(error.problems().iter().map(|problem| names.translate(problem)));
    }

    /// Adds another report, without the problems that only follow from a field that could not be read.
    pub(crate) fn add_unrelated(&mut self, other: Report) {
        let follows = |path: &str| {
            self.unread.iter().any(|unread| path == ROOT || is_within(path, unread) || is_within(unread, path))
                || self.meant.iter().any(|meant| path == ROOT || is_within(path, meant))
        };
        let found = other.problems.into_iter().chain(other.inside);
        let unrelated: Vec<_> = found.filter(|problem| !follows(problem.path())).collect();
        self.problems.extend(unrelated);
        self.unread.extend(other.unread);
    }

    /// Adds the problems of a part, whose paths and advice are relative to this path.
    pub(crate) fn add_inside(&mut self, path: &str, other: Report) {
        self.inside.extend(other.inside);
        self.inside.extend(other.problems.into_iter().map(|problem| inside(path, &problem)));
        self.unread.extend(other.unread);
    }

    pub(crate) fn append(&mut self, other: Report) {
        self.problems.extend(other.problems);
        self.inside.extend(other.inside);
        self.unread.extend(other.unread);
    }

    pub(crate) fn len(&self) -> usize {
        self.problems.len()
    }

    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.problems.into_iter().chain(self.inside).collect()
    }
}

/// The problems, each without a list of names that an earlier one has already.
pub(crate) fn without_repetition(problems: impl IntoIterator<Item = Problem>) -> Vec<Problem> {
    let mut listed = BTreeSet::new();
    let shortened = |problem: Problem| match problem.expected() {
        Some(list) if list.starts_with("one of `") && !listed.insert(list.to_owned()) => {
            problem.expecting("one of those that are listed above")
        }
        _ => problem,
    };
    problems.into_iter().map(shortened).collect()
}

/// A problem of a part, with whole paths. A path without a name is the part itself.
fn inside(path: &str, problem: &Problem) -> Problem {
    let whole = |field: &str| match field {
        "" | ROOT => path.to_owned(),
        field => format!("{path}.{field}"),
    };
    with_fields(problem, |field| Setting::Field(whole(field).into())).at(whole(problem.path()))
}

/// The problem with other settings in place of the fields that its advice names.
pub(crate) fn with_fields(problem: &Problem, setting: impl Fn(&str) -> Setting) -> Problem {
    let advice = problem.advice().iter().cloned().map(|advice| match advice {
        Advice::TurnOn(Setting::Field(field)) => Advice::TurnOn(setting(&field)),
        Advice::Set(Setting::Field(field)) => Advice::Set(setting(&field)),
        Advice::SetTo(Setting::Field(field), value) => Advice::SetTo(setting(&field), value),
        Advice::DidYouMean(Setting::Field(field)) => Advice::DidYouMean(setting(&field)),
        Advice::Remove(Setting::Field(field)) => Advice::Remove(setting(&field)),
        other => other,
    });
    problem.clone().with_advice(advice)
}

/// Whether a path is the same as another, or inside it.
pub(crate) fn is_within(path: &str, other: &str) -> bool {
    path.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// Turns an error of the core into a problem. Its message has both clauses: what was found, and what was expected.
pub(crate) fn error_at(path: &str, error: &bearer_token::Error) -> Problem {
    let text = error.to_string();
    match text.split_once("; expected ") {
        Some((found, expected)) => Problem::new(path, found.to_owned()).expecting(expected.to_owned()),
        None => Problem::new(path, text),
    }
}
