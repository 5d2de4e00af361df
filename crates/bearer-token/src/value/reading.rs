//! Reading a value: now or on a thread for blocking work, as a string, a secret or bytes.

use std::env;

use zeroize::Zeroizing;

use super::{Lookup, Steps, Value};
#[cfg(doc)]
use crate::error::ErrorKind;
#[cfg(any(feature = "jwt", feature = "http-transport"))]
use crate::problem::Problem;
use crate::{error::Error, source::FetchContext};

/// From what was found to what is used, or what is wrong with it.
///
/// A plain function instead of a closure. It can be passed on to a thread for blocking work, and one lookup can read a
/// value in three ways.
type Finish<T> = fn(&Steps, &[u8]) -> Result<T, String>;

impl Value {
    /// Reads the value now, as a string of a JWT. Blocks.
    #[cfg(feature = "jwt")]
    pub(crate) fn text_now(&self, path: &str) -> Result<Zeroizing<String>, Problem> {
        self.as_now(path, Steps::text)
    }

    /// Reads the value now, as the bytes of a key or a certificate. Blocks.
    #[cfg(any(feature = "jwt", feature = "http-transport"))]
    pub(crate) fn bytes_now(&self, path: &str) -> Result<Zeroizing<Vec<u8>>, Problem> {
        self.as_now(path, Steps::bytes)
    }

    #[cfg(any(feature = "jwt", feature = "http-transport"))]
    fn as_now<T>(&self, path: &str, finish: Finish<T>) -> Result<T, Problem> {
        if let Some((found, expected)) = self.steps.problem() {
            return Err(Problem::new(path, found).expecting(expected));
        }
        if let Lookup::Token { .. } = &self.lookup {
            let problem = Problem::new(path, "found the token of another provider");
            return Err(problem.expecting("a literal, a file or a variable"));
        }
        self.now(finish).map_err(|error| Problem::new(path, error.to_string()))
    }

    /// The string for one JWT. A token is an error.
    #[cfg(feature = "jwt")]
    pub(crate) async fn text_on(&self, platform: &crate::platform::Platform) -> Result<Zeroizing<String>, Error> {
        self.as_on(platform, Steps::text).await
    }

    /// The bytes for one JWT. A token is an error.
    #[cfg(feature = "jwt")]
    pub(crate) async fn bytes_on(&self, platform: &crate::platform::Platform) -> Result<Zeroizing<Vec<u8>>, Error> {
        self.as_on(platform, Steps::bytes).await
    }

    /// Reads a value that is not a token. Only files leave the worker thread. A literal or a variable is too cheap for
    /// a detour.
    async fn as_on<T: Send + 'static>(
        &self,
        platform: &crate::platform::Platform,
        finish: Finish<T>,
    ) -> Result<T, Error> {
        let value = self.clone();
        match &self.lookup {
            Lookup::File(_) => platform.run_blocking(move || value.now(finish)).await?,
            _ => self.now(finish),
        }
    }

    /// The value for one request.
    ///
    /// For sources of your own, which should take values as the built-in ones do. Call it within the fetch. Then the
    /// next fetch sees a change without a restart.
    ///
    /// # Errors
    ///
    /// Fails with kind [`Source`](ErrorKind::Source) if the value is missing or not as expected, or with the error of
    /// the other provider.
    ///
    /// ```
    /// use bearer_token::{AccessToken, Error, FetchContext, TokenProvider, TokenSource, Value};
    ///
    /// struct Sessions {
    ///     key: Value,
    /// }
    ///
    /// impl TokenSource for Sessions {
    ///     async fn fetch(&self, cx: FetchContext) -> Result<AccessToken, Error> {
    ///         let key = self.key.read(&cx).await?;
    ///         // .. exchange the key for a session ..
    ///         Ok(AccessToken::new(format!("session-of-{}", &key[..2])))
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// let provider = TokenProvider::builder(Sessions { key: "0a1b2c3d".into() }).build()?;
    /// assert_eq!(provider.token().await?.secret(), "session-of-0a");
    /// # Ok(()) }
    /// ```
    pub async fn read(&self, cx: &FetchContext) -> Result<Zeroizing<String>, Error> {
        self.read_as(cx, Steps::text).await
    }

    /// Reads the value for one request, as a client secret.
    #[cfg(feature = "oauth")]
    pub(crate) async fn read_secret(&self, cx: &FetchContext) -> Result<Zeroizing<String>, Error> {
        self.read_as(cx, Steps::secret).await
    }

    /// Reads the value now, as a client secret. Returns `None` for a token, which has to be awaited. Blocks.
    #[cfg(feature = "oauth")]
    pub(crate) fn secret_now(&self) -> Result<Option<Zeroizing<String>>, String> {
        if let Some((found, expected)) = self.steps.problem() {
            return Err(format!("{found}; expected {expected}"));
        }
        match &self.lookup {
            Lookup::Token { .. } => Ok(None),
            _ => self.now(Steps::secret).map(Some).map_err(|error| error.to_string()),
        }
    }

    /// Reads the value as bytes, for keys and certificates. Without a step such as [`member`](Self::member), these are all
    /// bytes that were found.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub async fn read_bytes(&self, cx: &FetchContext) -> Result<Zeroizing<Vec<u8>>, Error> {
        self.read_as(cx, Steps::bytes).await
    }

    /// The value as bytes, now. Blocks for files.
    ///
    /// For code that needs a value only once, or checks it in advance.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read). A token of another provider is an error too, because it has to be awaited.
    ///
    /// ```
    /// use bearer_token::Value;
    ///
    /// # fn main() -> Result<(), bearer_token::Error> {
    /// // As bytes, a trailing newline stays: a binary key may end with one.
    /// assert_eq!(*Value::from("key\n").read_bytes_now()?, b"key\n");
    /// assert_eq!(*Value::from("key\n").read_now()?, "key");
    /// # Ok(()) }
    /// ```
    pub fn read_bytes_now(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        self.now(Steps::bytes)
    }

    /// The value, now. Blocks for files.
    ///
    /// # Errors
    ///
    /// As [`read_bytes_now`](Self::read_bytes_now).
    pub fn read_now(&self) -> Result<Zeroizing<String>, Error> {
        self.now(Steps::text)
    }

    /// Reads any value, for one request. The wait for another provider is noted in the context. So a fetch that runs
    /// out of time can name the stage that it waited for.
    async fn read_as<T: Send + 'static>(&self, cx: &FetchContext, finish: Finish<T>) -> Result<T, Error> {
        match &self.lookup {
            Lookup::Token { provider, fresh } => {
                let bearer = provider.for_fetch(cx, *fresh).await;
                let bearer = bearer.map_err(|error| error.of_other(provider.name()))?;
                self.finish(bearer.secret().as_bytes(), finish)
            }
            _ => self.as_on(cx.platform(), finish).await,
        }
    }

    /// The value if it is not a token. Blocks for files.
    ///
    /// The file's content is finished twice: once as a check, before it may replace the last good one, and once for the
    /// result. Finishing is cheap beside reading.
    pub(super) fn now<T>(&self, finish: Finish<T>) -> Result<T, Error> {
        match &self.lookup {
            Lookup::Literal(text) => self.finish(text.as_bytes(), finish),
            Lookup::File(file) => {
                // Checked before it replaces what was read last.
                let found = file.read(|bytes, _| self.finish(&bytes, finish).map(|_| bytes))?;
                self.finish(&found, finish)
            }
            Lookup::Variable(name) => match env::var_os(&**name) {
                Some(value) => self.finish(&Zeroizing::new(value.into_encoded_bytes()), finish),
                None => Err(self.error("the environment variable is not set")),
            },
            Lookup::Token { .. } => Err(self.error("found a token; expected a literal, a file or a variable")),
        }
    }

    fn finish<T>(&self, found: &[u8], finish: Finish<T>) -> Result<T, Error> {
        finish(&self.steps, found).map_err(|problem| self.error(problem))
    }
}
