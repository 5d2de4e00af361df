//! One mistake, and the checks on its message.

use std::{collections::BTreeSet, error::Error as StdError, fmt};

use bearer_token::Error;

use crate::names::Names;

/// What planted secrets contain. No message may.
pub(crate) const PLANTED: &str = "planted";

/// A mistake, what was told about it, and the words that must be in there.
pub(crate) struct Row {
    id: &'static str,
    mistake: &'static str,
    told: Told,
    parts: [Part; 3],
}

/// One of the things that a message must say.
struct Part {
    what: &'static str,
    /// Each must occur in the message.
    words: Vec<&'static str>,
    /// Why the message need not say it.
    reason: Option<&'static str>,
}

/// The name of the provider in each table. A message that an operator reads says which provider it is about.
pub(crate) const PROVIDER: &str = "accounting";

/// Whether the messages of a table name the provider.
pub(crate) enum Named {
    Provider,
    /// They cannot, for this reason.
    No(&'static str),
}

/// What a user sees of a mistake.
#[derive(Default)]
pub(crate) struct Told {
    /// The message, and the events around it.
    pub(crate) message: String,
    /// Everything else that may be printed: `Debug`, the chain of causes.
    pub(crate) printed: String,
    paths: Vec<String>,
    /// What the user wrote, if it was a configuration.
    input: Option<String>,
}

impl Told {
    /// The message of an error, and its printed forms.
    pub(crate) fn error(error: &Error) -> Self {
        let mut printed = format!("{error:?} {error:#?} {error:#}");
        let mut next = error.source();
        while let Some(cause) = next {
            printed.push_str(&format!(" {cause} {cause:?}"));
            next = cause.source();
        }
        let paths = error.problems().iter().map(|problem| problem.path().to_owned()).collect();
        let mut message = error.to_string();
        if let Some(description) = error.server_description() {
            message.push_str("\nthe server says: ");
            message.push_str(description);
        }
        Told { message, printed, paths, input: None }
    }

    pub(crate) fn message(message: &str) -> Self {
        Told { message: message.to_owned(), ..Told::default() }
    }

    pub(crate) fn result<T>(result: Result<T, Error>) -> Self {
        match result {
            Ok(_) => Told { message: "no error".to_owned(), ..Told::default() },
            Err(error) => Told::error(&error),
        }
    }

    /// Adds what the user wrote: each path and each field in backticks must exist in configurations.
    pub(crate) fn of_configuration(mut self, input: &str) -> Self {
        self.input = Some(input.to_owned());
        self
    }

    pub(crate) fn with_event(mut self, event: &str) -> Self {
        self.message.push('\n');
        self.message.push_str(event);
        self
    }
}

impl Row {
    /// A row of the table. Of `found`, `expected` and `change` each word must occur in the message.
    pub(crate) fn new<const F: usize, const E: usize, const C: usize>(
        id: &'static str,
        mistake: &'static str,
        told: Told,
        found: [&'static str; F],
        expected: [&'static str; E],
        change: [&'static str; C],
    ) -> Self {
        let parts = [
            ("what was found", found.to_vec()),
            ("what was expected", expected.to_vec()),
            ("what to change", change.to_vec()),
        ];
        Row { id, mistake, told, parts: parts.map(|(what, words)| Part { what, words, reason: None }) }
    }

    /// Says why the message does not say what was expected. Without a reason, an empty list fails.
    pub(crate) fn expects_nothing(mut self, reason: &'static str) -> Self {
        self.parts[1].reason = Some(reason);
        self
    }

    /// Says why the message does not say what to change. Without a reason, an empty list fails.
    pub(crate) fn changes_nothing(mut self, reason: &'static str) -> Self {
        self.parts[2].reason = Some(reason);
        self
    }

    pub(crate) fn id(&self) -> &str {
        self.id
    }

    /// What is wrong with the message, if anything is.
    pub(crate) fn failure(&self, named: &Named) -> Option<String> {
        let mut wrong = Vec::new();
        let message = self.told.message.to_lowercase();
        for Part { what, words, reason } in &self.parts {
            let missing = words.iter().filter(|word| !message.contains(&word.to_lowercase()));
            wrong.extend(missing.map(|word| format!("does not say {what}: {word:?}")));
            match reason {
                None if words.is_empty() => wrong.push(format!("the row has neither words nor a reason for {what}")),
                Some(reason) if !words.is_empty() => {
                    wrong.push(format!("has words for {what}, and a reason: {reason}"));
                }
                Some(reason) if reason.split(' ').count() < 4 => wrong.push(format!("is no reason: {reason}")),
                _ => {}
            }
        }
        match named {
            Named::Provider if !message.contains(PROVIDER) => wrong.push("does not name the provider".to_owned()),
            Named::No(reason) if message.contains(PROVIDER) => wrong.push(format!("names the provider, but {reason}")),
            _ => {}
        }
        for text in [&self.told.message, &self.told.printed] {
            if text.contains(PLANTED) {
                wrong.push(format!("shows a planted secret: {text}"));
            }
        }
        wrong.extend(self.wrong_names());
        if wrong.is_empty() {
            return None;
        }
        Some(format!("{self}    {}\n", wrong.join("\n    ")))
    }

    /// Paths and fields that do not exist.
    fn wrong_names(&self) -> Vec<String> {
        let names = Names::get();
        let mut wrong = BTreeSet::new();
        for path in &self.told.paths {
            let exists = match &self.told.input {
                Some(input) => names.is_field(path) || input.contains(path.rsplit('.').next().unwrap_or_default()),
                None => names.is_method(path),
            };
            if !exists {
                wrong.insert(format!("names a path that does not exist: {path:?}"));
            }
        }
        let Some(input) = &self.told.input else { return wrong.into_iter().collect() };
        for word in self.told.message.split('`').skip(1).step_by(2) {
            if word.starts_with('.') && word.contains('(') {
                wrong.insert(format!("advises a method where a field is needed: {word:?}"));
            }
            let is_name =
                word.contains('_') && word.bytes().all(|byte| byte.is_ascii_lowercase() || b"_.".contains(&byte));
            if is_name && !names.is_known(word) && !input.contains(word) {
                wrong.insert(format!("names a field that does not exist: {word:?}"));
            }
        }
        wrong.into_iter().collect()
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} ({})\n    {}", self.id, self.mistake, self.told.message.replace('\n', "\n    "))
    }
}
