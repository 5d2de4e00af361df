//! Paths of files in place of secrets, and references to variables in place of values.

use std::path::Path;

use bearer_token::{Advice, Problem, Setting};

/// What is found where a path is given in place of a secret.
const A_PATH: &str = "found a string that looks like the path of a file";

/// Whether there is a file of this name beside the configuration.
pub(crate) fn is_path(directory: &Path, text: &str) -> bool {
    let text = text.trim_ascii();
    !text.is_empty() && text.len() < 4096 && !text.contains(char::is_control) && directory.join(text).is_file()
}

/// The problem with a path in place of a secret. The path may be a secret after all, and is not repeated.
pub(crate) fn path_problem(path: &str) -> Problem {
    Problem::new(path, A_PATH)
        .expecting("the secret itself, or a table that says where it is")
        .advise(Advice::text("did you mean `{ file = \"..\" }`?"))
        .advise(Advice::text("if this string is the secret itself, write `{ value = \"..\" }`"))
}

/// What is found where a reference is given in place of a value.
const A_REFERENCE: &str = "found a string that looks like a reference to an environment variable";

/// Whether this is `${NAME}` or `$NAME`, which are not replaced here.
fn is_reference(text: &str) -> bool {
    let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let is_capital = |name: &str| !name.bytes().any(|byte| byte.is_ascii_lowercase());
    let Some(name) = text.trim_ascii().strip_prefix('$') else { return false };
    match name.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
        // `${NAME:-default}`
        Some(inside) => inside.split(':').next().is_some_and(|name| !name.is_empty() && is_name(name)),
        None => name.starts_with(|c: char| c.is_ascii_uppercase()) && is_name(name) && is_capital(name),
    }
}

/// The problem with a reference in place of a value. It may be a secret after all, and is not repeated.
pub(crate) fn reference_problem(text: &str, what: &'static str) -> Option<Problem> {
    is_reference(text).then(|| {
        Problem::new("", A_REFERENCE)
            .expecting(format!("the {what} itself, or a table that says where it is"))
            .advise(Advice::text("did you mean `{ env = \"..\" }`?"))
            .advise(Advice::text(format!("if this string is the {what} itself, write `{{ value = \"..\" }}`")))
    })
}

/// The same problem, for a field that an environment variable sets.
pub(crate) fn path_in_variable(problem: &Problem, variable: &str) -> Option<Problem> {
    let (found, member) = match problem.found() {
        A_PATH => (A_PATH, "FILE"),
        A_REFERENCE => (A_REFERENCE, "ENV"),
        _ => return None,
    };
    let is_secret = problem.expected().is_some_and(|expected| expected.starts_with("the secret"));
    let what = if is_secret { "secret" } else { "value" };
    let itself = format!("if this string is the {what} itself, call the variable `{variable}__VALUE`");
    let problem = Problem::new(variable, found).expecting(format!("the {what} itself"));
    let problem = problem.advise(Advice::DidYouMean(Setting::Variable(format!("{variable}__{member}").into())));
    Some(problem.advise(Advice::text(itself)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_told_from_values_that_begin_with_a_dollar() {
        for text in ["${CLIENT_SECRET}", "$CLIENT_SECRET", "${secret}", "${SECRET:-none}", "$KEY_2\n"] {
            assert!(is_reference(text), "{text}");
        }
        for text in ["", "$", "${}", "$5", "$ecret", "$aBc", "$A-B", "x${A}", "${A}x", "pa$$WORD", "${A b}"] {
            assert!(!is_reference(text), "{text}");
        }
    }
}
