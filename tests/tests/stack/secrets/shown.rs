//! The collected output.

use std::{
    error::Error as StdError,
    fmt::{Debug, Display},
};

use bearer_token::Error;

/// The output, with a label for the origin of each part.
#[derive(Default)]
pub(super) struct Shown(pub(super) Vec<(String, String)>);

impl Shown {
    pub(super) fn value(&mut self, what: &str, value: &dyn Debug) {
        self.0.push((what.to_owned(), format!("{value:?}\n{value:#?}")));
    }

    pub(super) fn text(&mut self, what: &str, value: &dyn Display) {
        self.0.push((what.to_owned(), format!("{value}\n{value:#}")));
    }

    /// An error with all its causes.
    pub(super) fn error(&mut self, what: &str, error: &(dyn StdError + 'static)) {
        let mut next = Some(error);
        while let Some(error) = next {
            self.value(what, &error);
            self.text(what, &error);
            if let Some(ours) = error.downcast_ref::<Error>() {
                self.value(what, &(ours.oauth_code(), ours.kind(), ours.retry()));
                ours.problems().iter().for_each(|problem| self.text(what, problem));
            }
            next = error.source();
        }
    }

    pub(super) fn result<T: Debug>(&mut self, what: &str, result: Result<T, Error>) {
        match result {
            Ok(value) => self.value(what, &value),
            Err(error) => self.error(what, &error),
        }
    }

    pub(super) fn refusal<T>(&mut self, what: &str, result: Result<T, Error>) {
        self.error(what, &result.err().unwrap_or_else(|| panic!("{what}: has to be refused")));
    }
}
