//! Everything that is wrong with a configuration, collected by the paths of its fields.

use std::borrow::Cow;

use bearer_token::Problem;

use crate::names::Names;

/// The problems so far, and the fields that are present but could not be read.
#[derive(Default)]
pub(crate) struct Report {
    problems: Vec<Problem>,
    unread: Vec<String>,
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

    /// Reports the problems of a builder, in the names of a section's fields.
    pub(crate) fn add_translated(&mut self, names: &Names, error: &bearer_token::Error) {
        self.problems.extend(error.problems().iter().map(|problem| names.translate(problem)));
    }

    /// Adds another report, without the problems that only follow from a field that could not be read.
    pub(crate) fn add_unrelated(&mut self, other: Report) {
        let follows = |path: &str| self.unread.iter().any(|unread| is_within(path, unread) || is_within(unread, path));
        let unrelated: Vec<_> = other.problems.into_iter().filter(|problem| !follows(problem.path())).collect();
        self.problems.extend(unrelated);
        self.unread.extend(other.unread);
    }

    pub(crate) fn append(&mut self, other: Report) {
        self.problems.extend(other.problems);
        self.unread.extend(other.unread);
    }

    pub(crate) fn len(&self) -> usize {
        self.problems.len()
    }

    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }
}

/// Whether a path is another, or inside of it.
pub(crate) fn is_within(path: &str, other: &str) -> bool {
    path.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}
