//! How a token error travels through reqwest-middleware.

use std::error::Error as StdError;

use bearer_token::Error;

/// Wraps a token error, so that it is found again.
///
/// `reqwest_middleware::Error::Middleware` shows the error inside as its own, and its `source()` begins one step
/// further in. Without this wrapper a walk along the sources would pass our error by.
#[derive(Clone, Debug)]
pub struct BearerError {
    error: Error,
    message: &'static str,
}

impl BearerError {
    pub(crate) fn not_sent(error: Error) -> reqwest_middleware::Error {
        let message = "the request was not sent, because it could not be authorized";
        reqwest_middleware::Error::middleware(BearerError { error, message })
    }

    pub(crate) fn not_replayed(error: Error) -> reqwest_middleware::Error {
        let message = "the request was sent and its bearer refused; it was not sent again, because it could not be \
                       authorized anew";
        reqwest_middleware::Error::middleware(BearerError { error, message })
    }
}

impl std::fmt::Display for BearerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.message)
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
///         Some(error) => println!("mend the credential: {error}"),
///         None => println!("{error}"),
///     },
/// }
/// # }
/// ```
pub fn token_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Error> {
    Error::find(error)
}
