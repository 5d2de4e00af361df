//! Keeps tokens off the screen.

use http::HeaderValue;

/// Hides tokens, unless the user wants to see them.
#[derive(Clone, Copy)]
pub(super) struct Redaction {
    show: bool,
}

impl Redaction {
    pub(super) fn new(show: bool) -> Self {
        Redaction { show }
    }

    /// A token as it may be shown.
    pub(super) fn token(self, token: &str) -> String {
        if self.show { token.to_owned() } else { format!("[redacted, {} bytes]", token.len()) }
    }

    /// An `Authorization` header as it may be shown: the scheme, and what follows it only if the user wants that.
    pub(super) fn authorization(self, value: &HeaderValue) -> String {
        let value = String::from_utf8_lossy(value.as_bytes());
        match value.split_once(' ') {
            Some((scheme, credentials)) => format!("{scheme} {}", self.token(credentials)),
            None => self.token(&value),
        }
    }

    /// A text without the token, which some servers send back.
    pub(super) fn text(self, text: &str, token: &str) -> String {
        if self.show || token.is_empty() { text.to_owned() } else { text.replace(token, &self.token(token)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_shown_only_on_request() {
        let header = HeaderValue::from_static("Bearer abcdef");
        let (hide, show) = (Redaction::new(false), Redaction::new(true));
        assert_eq!(hide.authorization(&header), "Bearer [redacted, 6 bytes]");
        assert_eq!(show.authorization(&header), "Bearer abcdef");
        assert_eq!(hide.authorization(&HeaderValue::from_static("abcdef")), "[redacted, 6 bytes]");
        assert_eq!(hide.text("you sent <abcdef>", "abcdef"), "you sent <[redacted, 6 bytes]>");
        assert_eq!(show.text("you sent <abcdef>", "abcdef"), "you sent <abcdef>");
        assert_eq!(hide.text("nothing was sent", ""), "nothing was sent");
    }
}
