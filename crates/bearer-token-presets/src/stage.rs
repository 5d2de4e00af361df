//! A token endpoint as a stage of a preset.

use std::{fmt, sync::Arc};

use bearer_token::{
    Error, Problem, StaticToken, TokenProvider, TokenProviderBuilder, oauth::TokenEndpointBuilder, platform::Platform,
};
use http::Uri;

use crate::key::at;

/// The user's changes to each token endpoint of a preset, such as another transport.
#[derive(Clone, Default)]
pub(crate) struct Hook(Option<Arc<dyn Fn(TokenEndpointBuilder) -> TokenEndpointBuilder + Send + Sync>>);

impl Hook {
    pub(crate) fn new(edit: impl Fn(TokenEndpointBuilder) -> TokenEndpointBuilder + Send + Sync + 'static) -> Self {
        Hook(Some(Arc::new(edit)))
    }

    /// Returns the builder of a provider on this endpoint, or the problems of the endpoint.
    ///
    /// Its paths become those of the preset: `names` has the path of the endpoint's builder, and what the user gave.
    pub(crate) fn build(
        &self,
        endpoint: TokenEndpointBuilder,
        names: &[(&str, &str)],
    ) -> Result<TokenProviderBuilder, Vec<Problem>> {
        let endpoint = match &self.0 {
            Some(edit) => edit(endpoint),
            None => endpoint,
        };
        endpoint.build().map(TokenProvider::builder).map_err(|error| renamed(problems("token_endpoint", &error), names))
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Hook" } else { "no hook" })
    }
}

/// The builder on a platform, if one is given.
pub(crate) fn on(platform: Option<&Platform>, builder: TokenProviderBuilder) -> TokenProviderBuilder {
    match platform {
        Some(platform) => builder.platform(platform.clone()),
        None => builder,
    }
}

/// The problems of an error, each with a path.
pub(crate) fn problems(path: &str, error: &Error) -> Vec<Problem> {
    if error.problems().is_empty() { at(path, error) } else { error.problems().to_vec() }
}

/// The problems with the paths that the user knows.
fn renamed(problems: Vec<Problem>, names: &[(&str, &str)]) -> Vec<Problem> {
    let rename = |problem: Problem| match names.iter().find(|(from, _)| *from == problem.path()) {
        Some((_, to)) => problem.at(*to),
        None => problem,
    };
    problems.into_iter().map(rename).collect()
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

/// Checks that a string is a URL with a scheme and a host.
pub(crate) fn url(path: &str, text: &str, expected: &'static str) -> Result<String, Vec<Problem>> {
    let text = given(path, text, expected)?;
    match text.parse::<Uri>() {
        Ok(url) if matches!(url.scheme_str(), Some("http" | "https")) && url.query().is_none() => Ok(text),
        _ => {
            Err(vec![Problem::new(path, "found something that is not a URL, or one with a query").expecting(expected)])
        }
    }
}

/// Checks that a string is not empty.
pub(crate) fn given(path: &str, text: &str, expected: &'static str) -> Result<String, Vec<Problem>> {
    match text.trim() {
        "" => Err(vec![Problem::new(path, "found an empty string").expecting(expected)]),
        text => Ok(text.to_owned()),
    }
}
