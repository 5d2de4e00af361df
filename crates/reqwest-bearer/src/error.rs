//! How a token error travels through reqwest-middleware.

use std::error::Error as StdError;

use bearer_token::Error;

/// A token error, wrapped so that it can be found again.
///
/// `reqwest_middleware::Error::Middleware` shows the error inside as its own, and its `source()` begins one step
/// further in. Without this wrapper, a walk along the sources would miss the token error.
#[derive(Clone, Debug)]
pub struct BearerError {
    error: Error,
    message: &'static str,
}

impl BearerError {
    pub(crate) fn not_sent(error: Error) -> reqwest_middleware::Error {
        let message = "the request was not sent, because there is no token for it";
        reqwest_middleware::Error::middleware(BearerError { error, message })
    }

    pub(crate) fn not_replayed(error: Error) -> reqwest_middleware::Error {
        let message =
            "the API refused the token, and the request was not sent again, because there is no other token for it";
        reqwest_middleware::Error::middleware(BearerError { error, message })
    }
}

impl std::fmt::Display for BearerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The causes of an error are not printed by `{}`, and this one is what the reader needs.
        write!(f, "{}: {}", self.message, self.error)
    }
}

impl StdError for BearerError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.error)
    }
}

/// The token error behind an error of a client, if that is why the request was not sent, or not replayed.
///
/// The same as [`Error::find`]: looks through any number of wrappers, such as those of retrying middlewares.
///
/// ```
/// # async fn example(client: reqwest_bearer::reqwest_middleware::ClientWithMiddleware) {
/// match client.get("https://api.example.com/").send().await {
///     Ok(response) => println!("{}", response.status()),
///     Err(error) => match reqwest_bearer::token_error(&error) {
///         Some(error) if error.is_transient() => println!("later: {error}"),
///         Some(error) => println!("fix the credential: {error}"),
///         None => println!("{error}"),
///     },
/// }
/// # }
/// ```
pub fn token_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Error> {
    Error::find(error)
}
