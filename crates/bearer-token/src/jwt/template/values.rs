//! Checks of strings that reach the wire (`L52`).
//!
//! These strings are identifiers, and the receiver compares bytes. So the checks look for what people do not see:
//! spaces, quotes, newlines at the ends. Inside of a string, and in other claims, anything but control characters in
//! names is allowed.

use serde_json::Value;

use crate::{
    problem::{Advice, Problem},
    secret::string::{self, StringProblem},
};

/// What is wrong with a string that names something: an issuer, an audience, a key id.
///
/// Servers compare such strings byte for byte. A newline or a quote at its end is a mistake.
pub(crate) fn problem(path: &str, value: &str) -> Option<Problem> {
    let found = match string::check(value).err()? {
        StringProblem::Empty if value.is_empty() => {
            let problem = Problem::new(path, "found an empty string").expecting("a value");
            return Some(problem.advise(Advice::text("leave it out")));
        }
        StringProblem::Empty => "found nothing but spaces",
        StringProblem::Quotes => "found quotes around the value",
        StringProblem::Placeholder => {
            let problem = Problem::new(path, "found a placeholder in angle brackets").expecting("the value itself");
            return Some(problem.advise(Advice::text("put it in the placeholder's place")));
        }
        StringProblem::Newline => "found a newline",
        StringProblem::EscapedNewline => "found `\\n` at the start or end, as two characters",
        StringProblem::Space => "found a space or an invisible character at the start or end",
        StringProblem::Control | StringProblem::Utf16 | StringProblem::NotUtf8 => "found a control character",
        // Paths are legal here: an audience may be one.
        StringProblem::Path => return None,
    };
    Some(Problem::new(path, found).advise(Advice::text("remove it")))
}

/// What is wrong with a claim whose strings name something: `iss`, `sub` or `aud`.
pub(crate) fn claim_problems(path: &str, name: &str, value: &Value) -> Vec<Problem> {
    let strings = match (name, value) {
        ("iss" | "sub" | "aud", Value::String(value)) => vec![value.as_str()],
        ("aud", Value::Array(values)) => values.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    strings.into_iter().filter_map(|value| problem(path, value)).collect()
}

/// What is wrong with the name of a claim or of a header member.
pub(crate) fn name_problem(path: &str, name: &str) -> Option<Problem> {
    name.contains(char::is_control).then(|| {
        let problem = Problem::new(path, format!("found a name of {} bytes with a control character", name.len()));
        problem.advise(Advice::text("remove it"))
    })
}
