//! The name by which people tell one provider from another.
//!
//! A name that the user chose is in every sentence. A suggested name, such as a token endpoint's host, is in events and
//! status only. With a single provider there is no doubt, and it would only make the sentences longer.

use std::{fmt, sync::Arc};

use crate::problem::{Problem, Problems};

/// The name of a provider, for errors, events and status.
#[derive(Clone, Debug)]
pub(crate) struct ProviderName {
    /// Shared: each error and event of a provider carries the name, and none of them copies it.
    name: Arc<str>,
    is_given: bool,
}

impl ProviderName {
    /// Checks a name that ends up in events, errors and labels.
    pub(crate) fn check(name: &str, problems: &mut Problems) {
        if name.trim().is_empty() || name.contains(char::is_control) {
            let problem = Problem::new("name", "found an empty name, or one with control characters");
            problems.add(problem.expecting("a word for people to read"));
        }
    }

    /// A name that the user gave. Sentences of errors begin with it.
    pub(crate) fn given(name: &str) -> Self {
        ProviderName { name: name.into(), is_given: true }
    }

    /// A name that the source suggested.
    pub(crate) fn suggested(name: &str) -> Self {
        ProviderName { name: name.into(), is_given: false }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.name
    }

    pub(crate) fn is_given(&self) -> bool {
        self.is_given
    }
}

impl fmt::Display for ProviderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
