//! An error as a sentence, with its causes on request.
//!
//! `Display` and `Debug` are the two ways in which an error reaches a log, so both are written by hand. Neither prints
//! [`Error::server_description`], and both stop after 32 problems: a generated configuration may have thousands, and a
//! log line has a limit.

use std::{error::Error as _, fmt};

use crate::{error::Error, problem::Problem};

/// The most problems in a sentence.
///
/// [`Error::problems`] still has all of them.
const LISTED: usize = 32;

/// How many problems are not listed, if there are any.
fn more(problems: &[Problem]) -> Option<String> {
    let more = problems.len().checked_sub(LISTED).filter(|more| *more > 0)?;
    Some(format!("{more} more {}", if more == 1 { "problem" } else { "problems" }))
}

/// The sentence; with `{:#}`, its causes too.
///
/// The parts, in order: the provider's name if the user gave one, the message, the problems (numbered if several), what
/// was left out. With `{:#}`, the causes follow. A cause whose sentence is contained in what is printed already is
/// skipped: [`Error::other`] and many crates repeat it.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, None)
    }
}

/// An error beside the name of a provider, which its sentence does not repeat.
pub(crate) struct Beside<'a> {
    error: &'a Error,
    provider: Option<&'a str>,
}

impl fmt::Display for Beside<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.write(f, self.provider)
    }
}

impl Error {
    /// The sentence for a line that names this provider already, such as a status or an event. The name of another
    /// provider, such as an earlier stage of a chain, stays.
    pub(crate) fn beside<'a>(&'a self, provider: impl Into<Option<&'a str>>) -> Beside<'a> {
        Beside { error: self, provider: provider.into() }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, named: Option<&str>) -> fmt::Result {
        let mut text = match &self.0.details.provider {
            Some(name) if name.is_given() && named != Some(name.as_str()) => format!("{name}: {}", self.0.message),
            _ => String::from(&*self.0.message),
        };
        for (index, problem) in self.0.problems.iter().take(LISTED).enumerate() {
            text.push_str(if index == 0 { ": " } else { "; " });
            if self.0.problems.len() > 1 {
                text.push_str(&format!("({}) ", index + 1));
            }
            text.push_str(&problem.to_string());
        }
        if let Some(more) = more(&self.0.problems) {
            text.push_str("; and ");
            text.push_str(&more);
        }
        let mut cause = self.source().filter(|_| f.alternate());
        while let Some(error) = cause {
            // A name stands once, however many of the errors have it.
            let said = match error.downcast_ref::<Error>() {
                Some(error) => error.beside(named.or(self.provider())).to_string(),
                None => error.to_string(),
            };
            // Some errors repeat the sentence of their cause.
            if !text.contains(&said) {
                text.push_str(": ");
                text.push_str(&said);
            }
            cause = error.source();
        }
        f.write_str(&text)
    }
}

/// For logs that print `{error:?}`: fields instead of a sentence, with the causes as their own `Debug`. The server's
/// description is missing on purpose.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        let mut out = f.debug_struct("Error");
        out.field("kind", &inner.kind).field("message", &inner.message).field("retry", &inner.retry);
        if let Some(name) = &inner.details.provider {
            out.field("provider", &name.as_str());
        }
        if let Some(code) = &inner.details.oauth_code {
            out.field("oauth_code", code);
        }
        if !inner.problems.is_empty() {
            out.field("problems", &inner.problems.iter().take(LISTED).collect::<Vec<_>>());
        }
        if let Some(more) = more(&inner.problems) {
            out.field("omitted", &more);
        }
        if let Some(source) = &inner.source {
            out.field("source", source);
        }
        out.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{ErrorKind, ProviderName};

    #[test]
    fn alternate_display_adds_each_cause_once() {
        let error = Error::new(ErrorKind::Transport, "no connection")
            .with_source("refused")
            .with_context("the token request failed: no connection");
        assert_eq!(format!("{error}"), "the token request failed: no connection");
        assert_eq!(format!("{error:#}"), "the token request failed: no connection: refused");
    }

    #[test]
    fn a_name_beside_the_error_is_left_out() {
        let error = Error::new(ErrorKind::Timeout, "no response").with_provider(&ProviderName::given("orders"));
        assert_eq!(error.beside("orders").to_string(), "no response");
        assert_eq!(error.beside("billing").to_string(), "orders: no response");
        assert_eq!(error.beside(None).to_string(), error.to_string());
        let error = error.with_source("reset by peer");
        assert_eq!(format!("{:#}", error.beside("orders")), "no response: reset by peer");
    }

    #[test]
    fn a_long_list_of_problems_ends_with_their_number() {
        let error =
            |count: usize| Error::config("no", (0..count).map(|n| Problem::new(format!("field{n}"), "found x")));
        for (count, end) in [
            (32, "; (32) field31: found x"),
            (33, "; (32) field31: found x; and 1 more problem"),
            (10_000, "; (32) field31: found x; and 9968 more problems"),
        ] {
            let error = error(count);
            assert_eq!(error.problems().len(), count);
            assert!(error.to_string().ends_with(end), "{error}");
            assert!(format!("{error:?}").len() < 5_000);
        }
    }
}
