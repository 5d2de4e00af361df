//! Hides tokens in the output.

use http::HeaderValue;
use serde_json::Value;

/// Hides tokens, unless the user wants to see them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Redaction {
    show: bool,
}

impl Redaction {
    pub(super) fn new(show: bool) -> Self {
        Redaction { show }
    }

    /// A token, redacted unless the user wants to see it.
    pub(super) fn token(self, token: &str) -> String {
        if self.show { token.to_owned() } else { format!("[redacted, {} bytes]", token.len()) }
    }

    /// An `Authorization` header: the scheme, and the credential only if the user wants to see it.
    pub(super) fn authorization(self, value: &HeaderValue) -> String {
        let value = String::from_utf8_lossy(value.as_bytes());
        match value.split_once(' ') {
            Some((scheme, credentials)) => format!("{scheme} {}", self.token(credentials)),
            None => self.token(&value),
        }
    }

    /// The values of a URL's query that are hidden.
    pub(super) fn secrets(self, query: &str) -> Secrets {
        let values = if self.show { Vec::new() } else { query.split('&').flat_map(forms).collect() };
        Secrets { redaction: self, values }
    }
}

/// The shortest value to hide. A shorter one is not a secret and occurs by chance.
const SHORT: usize = 4;

/// The values of a query, in every encoding in which a URL may be quoted.
pub(super) struct Secrets {
    redaction: Redaction,
    values: Vec<String>,
}

impl Secrets {
    /// Whether the string contains one of them in any encoding.
    pub(super) fn are_in(&self, text: &str) -> bool {
        let texts = [text.to_owned(), decoded(text), decoded(&text.replace('+', " "))];
        self.values.iter().any(|value| texts.iter().any(|text| text.contains(value)))
    }

    /// A string with them hidden. The part of a URL before the query stays.
    pub(super) fn text(&self, text: &str) -> String {
        match text.split_once('?') {
            _ if !self.are_in(text) => text.to_owned(),
            Some((url, query)) if !self.are_in(url) => format!("{url}?{}", self.redaction.token(query)),
            _ => self.redaction.token(text),
        }
    }

    /// A JSON value with them hidden, at any depth, names included.
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

/// The value of a pair, encoded and decoded. A value that is too short is kept with its name.
fn forms(pair: &str) -> Vec<String> {
    let value = pair.split_once('=').map_or(pair, |(_, value)| value);
    let secret = if decoded(value).len() < SHORT { pair } else { value };
    if secret.len() < SHORT && !secret.contains('=') {
        return Vec::new();
    }
    vec![secret.to_owned(), decoded(secret), decoded(&secret.replace('+', " "))]
}

/// Decodes percent-encoding (RFC 3986 section 2.1).
fn decoded(text: &str) -> String {
    // A plus sign stays, because its meaning differs between forms and URLs.
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
        // A short value is found only together with its name.
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
