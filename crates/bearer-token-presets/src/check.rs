//! Checks of what the user gives, with all problems at once.

use std::{fs, io, path::Path};

use bearer_token::{Error, FileToken, Problem, StaticToken, TokenProvider, TokenProviderBuilder};
use http::Uri;

use crate::key::at;

/// The problems of an error, each with a path.
pub(crate) fn problems(path: &str, error: &Error) -> Vec<Problem> {
    if error.problems().is_empty() { at(path, error) } else { error.problems().to_vec() }
}

/// The builder. If there were problems, a builder that reports them when it builds.
pub(crate) fn or_problems(builder: Result<TokenProviderBuilder, Vec<Problem>>) -> TokenProviderBuilder {
    builder.unwrap_or_else(|problems| {
        problems.into_iter().fold(TokenProvider::builder(StaticToken::new("")), TokenProviderBuilder::problem)
    })
}

/// Both, or the problems of both.
pub(crate) fn both<A, B>(a: Result<A, Vec<Problem>>, b: Result<B, Vec<Problem>>) -> Result<(A, B), Vec<Problem>> {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok((a, b)),
        (Err(a), Err(b)) => Err(a.into_iter().chain(b).collect()),
        (Err(problems), Ok(_)) | (Ok(_), Err(problems)) => Err(problems),
    }
}

/// Checks that a string is a URL with a scheme and a host. Returns it without its last slash.
pub(crate) fn url(path: &str, text: &str, expected: &'static str) -> Result<String, Vec<Problem>> {
    let text = given(path, text, expected)?;
    match text.parse::<Uri>() {
        Ok(url) if matches!(url.scheme_str(), Some("http" | "https")) && url.query().is_none() => {
            Ok(text.trim_end_matches('/').to_owned())
        }
        _ => {
            Err(vec![Problem::new(path, "found something that is not a URL, or one with a query").expecting(expected)])
        }
    }
}

/// Checks the base URL of an API whose origin the preset allows.
pub(crate) fn api_url(path: &str, text: &str, expected: &'static str) -> Result<String, Vec<Problem>> {
    let url = url(path, text, expected)?;
    let problems = TokenProvider::builder(StaticToken::new("")).allow_origin(origin(&url)).problems();
    if problems.is_empty() {
        return Ok(url);
    }
    // Its advice names methods of the builder, which would come too late.
    Err(problems.into_iter().map(|problem| problem.at(path).with_advice([])).collect())
}

/// The origin of a URL.
pub(crate) fn origin(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    format!("{scheme}://{}", rest.split(['/', '?']).next().unwrap_or_default())
}

/// Checks that a string is not empty.
pub(crate) fn given(path: &str, text: &str, expected: &'static str) -> Result<String, Vec<Problem>> {
    match text.trim() {
        "" => Err(vec![Problem::new(path, "found an empty string").expecting(expected)]),
        text => Ok(text.to_owned()),
    }
}

/// The token in a file of the pod. The file is opened here too, so that a pod without it is noticed when it starts.
pub(crate) fn token_file(
    path: &str,
    file: impl AsRef<Path>,
    expected: &'static str,
) -> Result<FileToken, Vec<Problem>> {
    let file = file.as_ref();
    let opened = fs::metadata(file).and_then(|metadata| match metadata.is_file() {
        true => fs::File::open(file),
        // Opening a pipe would wait for its writer.
        false => Err(io::Error::other("it is a directory, a pipe or a device")),
    });
    match opened {
        Ok(_) => Ok(FileToken::new(file)),
        Err(error) => {
            let found = format!("found no file `{}` that can be read: {error}", file.display());
            Err(vec![Problem::new(path, found).expecting(expected)])
        }
    }
}
