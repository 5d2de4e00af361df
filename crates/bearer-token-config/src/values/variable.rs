//! Environment variables that a configuration names.

use bearer_token::{Advice, Problem};
use zeroize::Zeroizing;

/// Reads a variable. The error says what is wrong with it.
pub(crate) fn read_variable(path: &str, name: &str) -> Result<Zeroizing<Vec<u8>>, Problem> {
    // The operating system panics on other names.
    if name.is_empty() || name.contains(['=', '\0']) {
        let found =
            if name.is_empty() { "found an empty string" } else { "found a string that no variable has as its name" };
        return Err(Problem::new(path, found).expecting("the name of an environment variable"));
    }
    let value = std::env::var_os(name).ok_or_else(|| {
        let problem = Problem::new(path, format!("found the environment variable `{name}`, which is not set"))
            .expecting("the name of a variable that is set");
        match name.strip_prefix('$') {
            Some(_) => problem.advise(Advice::text("write its name without `$`")),
            None => problem.advise(Advice::text("set it for this process")),
        }
    })?;
    let value = value.into_string().map_err(|_| {
        Problem::new(path, format!("found the environment variable `{name}`, which is not UTF-8"))
            .expecting("a variable that holds text")
    })?;
    Ok(Zeroizing::new(value.into_bytes()))
}
