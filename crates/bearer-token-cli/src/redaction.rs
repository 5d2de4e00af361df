//! Hides tokens in the output.

use http::{HeaderMap, HeaderValue};

/// Hides tokens, unless the user wants to see them.
#[derive(Clone, Copy)]
pub(crate) struct Redaction {
    pub(crate) shows: bool,
}

/// The shortest value to hide. A shorter one is not a secret and occurs by chance.
const SHORT: usize = 4;

impl Redaction {
    /// A header with a credential: the scheme, and the credential only if the user wants to see it.
    pub(crate) fn authorization(self, value: &HeaderValue) -> String {
        let value = String::from_utf8_lossy(value.as_bytes());
        match value.split_once(' ') {
            Some((scheme, credentials)) => format!("{scheme} {}", self.token(credentials)),
            None => self.token(&value),
        }
    }

    /// A string with these secrets redacted, because some servers echo them. A longer one comes before its parts.
    pub(crate) fn text(self, text: &str, secrets: &[String]) -> String {
        let hidden = secrets.iter().filter(|secret| !self.shows && secret.len() >= SHORT);
        hidden.fold(text.to_owned(), |text, secret| text.replace(secret, &self.token(secret)))
    }

    fn token(self, token: &str) -> String {
        if self.shows { token.to_owned() } else { format!("[redacted, {} bytes]", token.len()) }
    }
}

/// The secrets in these headers: the token, and the other values that the configuration sends. The longest is first.
pub(crate) fn secrets(headers: &HeaderMap) -> Vec<String> {
    let credential = |value: &HeaderValue| {
        let value = String::from_utf8_lossy(value.as_bytes());
        value.split_once(' ').map_or(&*value, |(_scheme, credential)| credential).to_owned()
    };
    let mut secrets: Vec<String> = headers.values().map(credential).collect();
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets
}
