//! Paths of files in place of secrets.

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

/// The same problem, for a field that an environment variable sets.
pub(crate) fn path_in_variable(problem: &Problem, variable: &str) -> Option<Problem> {
    (problem.found() == A_PATH).then(|| {
        Problem::new(variable, A_PATH)
            .expecting("the secret itself")
            .advise(Advice::DidYouMean(Setting::Variable(format!("{variable}__FILE").into())))
            .advise(Advice::text(format!("if this string is the secret itself, call the variable `{variable}__VALUE`")))
    })
}
