//! Keeps tokens off the screen.

use http::HeaderValue;
use serde_json::Value;

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

    /// What must not be seen of a URL's query.
    pub(super) fn secrets(self, query: &str) -> Secrets {
        let values = if self.show { Vec::new() } else { query.split('&').flat_map(forms).collect() };
        Secrets { redaction: self, values }
    }
}

/// Below this a value is found in texts that have nothing to do with it, and is no secret.
const SHORT: usize = 4;

/// The values of a query, in every form in which a server's URL may be quoted.
pub(super) struct Secrets {
    redaction: Redaction,
    values: Vec<String>,
}

impl Secrets {
    /// Whether one of them is in the text, in whatever form.
    pub(super) fn are_in(&self, text: &str) -> bool {
        let texts = [text.to_owned(), decoded(text), decoded(&text.replace('+', " "))];
        self.values.iter().any(|value| texts.iter().any(|text| text.contains(value)))
    }

    /// A text without them. Of a URL what comes before its query stays.
    fn text(&self, text: &str) -> String {
        match text.split_once('?') {
            _ if !self.are_in(text) => text.to_owned(),
            Some((url, query)) if !self.are_in(url) => format!("{url}?{}", self.redaction.token(query)),
            _ => self.redaction.token(text),
        }
    }

    /// A value of a JWT without them, at any depth, names included.
    pub(super) fn value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Number(number) if self.values.contains(&number.to_string()) => {
                Value::String(self.redaction.token(&number.to_string()))
            }
            Value::Array(values) => values.iter().map(|value| self.value(value)).collect(),
            Value::Object(members) => {
                Value::Object(members.iter().map(|(name, value)| (self.text(name), self.value(value))).collect())
            }
            other => other.clone(),
        }
    }
}

/// The value of a pair as it is written and as it is meant; one that is too short with its name.
fn forms(pair: &str) -> Vec<String> {
    let value = pair.split_once('=').map_or(pair, |(_, value)| value);
    let secret = if decoded(value).len() < SHORT { pair } else { value };
    if secret.len() < SHORT && !secret.contains('=') {
        return Vec::new();
    }
    vec![secret.to_owned(), decoded(secret), decoded(&secret.replace('+', " "))]
}

/// Without percent-encoding (RFC 3986 section 2.1).
fn decoded(text: &str) -> String {
    // A plus stays one: what it means differs between a form and a URL.
    let text = text.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    form_urlencoded::parse(text.as_bytes()).next().map(|(name, _)| name.into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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

    #[test]
    fn l38_query_values_are_hidden_in_every_encoding() {
        let secrets = Redaction::new(false).secrets("key=MARK%20QUERY&back=MARK\\x&plus=MARK+2&v=1");
        for (claim, hidden) in [
            (json!("https://as.example.com/token?key=MARK%20QUERY&v=1"), "https://as.example.com/token?["),
            (json!("https://as.example.com/token?key=MARK QUERY"), "https://as.example.com/token?["),
            (json!("https://as.example.com/token?key=MARK+QUERY"), "https://as.example.com/token?["),
            (json!("https://as.example.com/token?key=%4DARK%20QUERY"), "https://as.example.com/token?["),
            (json!("https://as.example.com/token?back=MARK\\x"), "https://as.example.com/token?["),
            (json!("for MARK 2"), "[redacted"),
            (json!("for MARK%202"), "[redacted"),
            (json!(["fine", { "deep": "MARK+2" }]), "[redacted"),
            (json!({ "MARK QUERY": 1 }), "[redacted"),
        ] {
            let shown = secrets.value(&claim).to_string();
            assert!(!shown.contains("MARK") && !shown.contains("%4D") && shown.contains(hidden), "{claim}: {shown}");
        }
        // A short one is found only with its name.
        for claim in [json!("tenant-1"), json!(1), json!(true), json!("https://as.example.com/token")] {
            assert_eq!(secrets.value(&claim), claim);
        }
        assert!(secrets.value(&json!("https://as.example.com/?v=1")).to_string().contains("redacted"));
        let number = Redaction::new(false).secrets("pin=123456");
        assert!(number.value(&json!({ "pin": 123_456 })).to_string().contains("redacted"));
        let shown = json!("MARK%20QUERY");
        assert_eq!(Redaction::new(true).secrets("key=MARK%20QUERY").value(&shown), shown);
    }
}
