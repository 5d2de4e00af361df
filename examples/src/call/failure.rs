//! Explanations of errors.

use std::{error::Error as StdError, io, io::Write};

use bearer_token::{Error, Retry};
use reqwest_bearer::token_error;

use super::arguments::Source;

/// Explains an error and what to do about it.
pub(super) fn explain(error: &anyhow::Error, config: &Source, err: &mut impl Write) -> io::Result<()> {
    match token_error(error.as_ref()) {
        Some(error) if !error.problems().is_empty() => explain_problems(error, config, err),
        Some(error) => explain_token_error(error, err),
        None => {
            writeln!(err, "error: {error}")?;
            explain_causes(error.source(), err)
        }
    }
}

fn explain_problems(error: &Error, config: &Source, err: &mut impl Write) -> io::Result<()> {
    let problems = error.problems();
    let count = if problems.len() == 1 { "one problem".to_owned() } else { format!("{} problems", problems.len()) };
    writeln!(err, "{count} in {config}")?;
    problems.iter().try_for_each(|problem| writeln!(err, "  {problem}"))
}

fn explain_token_error(error: &Error, err: &mut impl Write) -> io::Result<()> {
    writeln!(err, "error: {error}")?;
    writeln!(err, "kind:  {:?}", error.kind())?;
    if let Some(code) = error.oauth_code() {
        writeln!(err, "code:  {code}")?;
    }
    match error.retry() {
        Retry::Later { after: Some(time) } => writeln!(err, "retry: the server asks to wait for {time:?}")?,
        Retry::Later { .. } => writeln!(err, "retry: later; waiting may be enough")?,
        _ => writeln!(err, "retry: only after a change of the key, the permissions or the configuration")?,
    }
    explain_causes(error.source(), err)
}

fn explain_causes(mut cause: Option<&(dyn StdError + 'static)>, err: &mut impl Write) -> io::Result<()> {
    while let Some(error) = cause {
        writeln!(err, "cause: {error}")?;
        cause = error.source();
    }
    Ok(())
}
