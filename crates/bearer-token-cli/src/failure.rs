//! Explanations of errors, and what they mean for the exit status.

use std::{error::Error as StdError, io, io::Write};

use bearer_token::{Error, ErrorKind, Retry};
use clap::{CommandFactory, error::ErrorKind as ClapKind};

use crate::arguments::{Cli, Source};

/// The exit status. The help text explains each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Success = 0,
    Failure = 1,
    Usage = 2,
    Config = 3,
    Refused = 4,
    Later = 5,
}

impl Exit {
    pub(crate) fn success_if(is_success: bool) -> Self {
        if is_success { Exit::Success } else { Exit::Failure }
    }
}

/// An error about the use of the command that its arguments do not show.
pub(crate) fn usage(message: &str) -> anyhow::Error {
    Cli::command().error(ClapKind::ValueValidation, message).into()
}

pub(crate) fn exit(error: &anyhow::Error) -> Exit {
    match Error::find(error.as_ref()) {
        Some(error) if error.kind() == ErrorKind::Config => Exit::Config,
        Some(error) if matches!(error.retry(), Retry::Later { .. }) => Exit::Later,
        Some(_) => Exit::Refused,
        None if error.is::<clap::Error>() => Exit::Usage,
        None => Exit::Failure,
    }
}

/// Explains an error and what to do about it.
pub(crate) fn explain(error: &anyhow::Error, source: Option<&Source>, err: &mut impl Write) -> io::Result<()> {
    if let Some(usage) = error.downcast_ref::<clap::Error>() {
        return write!(err, "{usage}");
    }
    // The reader has seen enough, as `head` does.
    if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
        return Ok(());
    }
    let found = Error::find(error.as_ref());
    if let (Some(problems @ [_, ..]), Some(source)) = (found.map(Error::problems), source) {
        let s = if problems.len() == 1 { "" } else { "s" };
        writeln!(err, "{} problem{s} in {source}", problems.len())?;
        return problems.iter().try_for_each(|problem| writeln!(err, "  {problem}"));
    }
    let shown: &dyn StdError = found.map_or(error.as_ref(), |error| error);
    writeln!(err, "error: {shown}")?;
    if let Some(error) = found {
        explain_token_error(error, err)?;
    }
    anyhow::Chain::new(shown).skip(1).try_for_each(|cause| writeln!(err, "cause: {cause}"))
}

fn explain_token_error(error: &Error, err: &mut impl Write) -> io::Result<()> {
    writeln!(err, "kind:  {:?}", error.kind())?;
    if let Some(code) = error.oauth_code() {
        writeln!(err, "code:  {code}")?;
    }
    if let Some(description) = error.server_description() {
        writeln!(err, "the server says: {description:?}")?;
    }
    match error.retry() {
        Retry::Later { after: Some(time) } => writeln!(err, "retry: the server asks to wait for {time:?}"),
        Retry::Later { .. } => writeln!(err, "retry: later; waiting may be enough"),
        _ => writeln!(err, "retry: only after a change of the key, the permissions or the configuration"),
    }
}
