//! A token request that is safe to show.

use std::{fmt, fmt::Write};

use base64::{Engine, prelude::BASE64_STANDARD as STANDARD};
use bytes::Bytes;
use http::{HeaderMap, Method, Uri, header};
use serde_json::{Map, Value};

use super::{json_body, redaction::Redaction};

/// The parameters that are never secret. The server decides the meaning of all others, so they may be.
const OPEN_PARAMETERS: [&str; 11] = [
    "actor_token_type",
    "assertion_type",
    "audience",
    "client_assertion_type",
    "client_id",
    "grant_type",
    "requested_token_type",
    "requested_token_use",
    "resource",
    "scope",
    "subject_token_type",
];

/// The parameters with assertions (RFC 7521 section 4).
pub(super) const ASSERTIONS: [&str; 2] = ["assertion", "client_assertion"];

pub(super) struct TokenRequest {
    method: Method,
    pub(super) url: Uri,
    headers: HeaderMap,
    query_pairs: Vec<Pair>,
    /// The parameters of the body. For JSON, all values with their paths.
    form: Vec<Pair>,
    json: Option<Map<String, Value>>,
    length: usize,
}

/// A parameter, as sent and decoded.
struct Pair {
    sent: String,
    name: String,
    value: String,
}

impl TokenRequest {
    pub(super) fn read(request: &http::Request<Bytes>) -> Self {
        let json = serde_json::from_slice::<Map<String, Value>>(request.body()).ok();
        TokenRequest {
            method: request.method().clone(),
            url: request.uri().clone(),
            headers: request.headers().clone(),
            query_pairs: pairs(request.uri().query().unwrap_or_default()),
            form: match &json {
                Some(members) => json_body::leaves(members).into_iter().map(Pair::of_json).collect(),
                None => pairs(&String::from_utf8_lossy(request.body())),
            },
            json,
            length: request.body().len(),
        }
    }

    /// Everything that may be a JWT: headers without their scheme, and parameters, each with its name.
    pub(super) fn credentials(&self) -> impl Iterator<Item = (&str, &str)> {
        let headers = self.headers.iter().filter_map(|(name, value)| {
            let value = value.to_str().ok()?;
            Some((name.as_str(), value.split_once(' ').map_or(value, |(_, credential)| credential)))
        });
        let pairs = self.query_pairs.iter().chain(&self.form);
        headers.chain(pairs.map(|pair| (pair.name.as_str(), pair.value.as_str())))
    }

    /// Whether it is for the metadata of an issuer (RFC 8615).
    pub(super) fn is_for_metadata(&self) -> bool {
        self.method == Method::GET && self.url.path().contains("/.well-known/")
    }

    /// The value of a parameter, wherever it is.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        let mut pairs = self.query_pairs.iter().chain(&self.form);
        pairs.find(|pair| pair.name == name).map(|pair| pair.value.as_str())
    }

    /// The client's id and secret, wherever they are, with the names that a message may use.
    pub(super) fn identities(&self) -> Vec<(&'static str, String)> {
        const NAMES: [&str; 2] = ["client_id", "client_secret"];
        let of_parameters = |name| Some((name, self.parameter(name)?.to_owned()));
        let mut found: Vec<_> = NAMES.into_iter().filter_map(of_parameters).collect();
        let header = self.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let basic = header.and_then(|value| value.strip_prefix("Basic ")).and_then(|value| STANDARD.decode(value).ok());
        let pair = basic.and_then(|bytes| String::from_utf8(bytes).ok());
        if let Some((id, secret)) = pair.as_deref().and_then(|pair| pair.split_once(':')) {
            // Both are encoded as in a form (RFC 6749 section 2.3.1).
            let decoded =
                |text: &str| form_urlencoded::parse(text.as_bytes()).next().map(|(name, _)| name.into_owned());
            found.extend(NAMES.into_iter().zip([id, secret]).filter_map(|(name, text)| Some((name, decoded(text)?))));
        }
        found
    }

    pub(super) fn show(&self, redaction: Redaction, out: &mut impl Write) -> fmt::Result {
        write!(out, "{} {}", self.method, self.open_url())?;
        for (number, pair) in self.query_pairs.iter().enumerate() {
            let separator = if number == 0 { "?" } else { "&" };
            match pair.sent.split_once('=') {
                Some(_) if pair.is_open() => write!(out, "{separator}{}", pair.sent)?,
                Some((name, _)) => write!(out, "{separator}{name}={}", redaction.token(&pair.value))?,
                None => write!(out, "{separator}{}", redaction.token(&pair.sent))?,
            }
        }
        writeln!(out)?;
        for (name, value) in self.headers.iter().filter(|(name, _)| *name != header::CONTENT_LENGTH) {
            let shown = match *name {
                header::ACCEPT | header::ACCEPT_ENCODING | header::CONTENT_TYPE | header::USER_AGENT => {
                    String::from_utf8_lossy(value.as_bytes()).into_owned()
                }
                header::AUTHORIZATION => redaction.authorization(value),
                _ => redaction.token(&String::from_utf8_lossy(value.as_bytes())),
            };
            writeln!(out, "{name}: {shown}")?;
        }
        // Every transport adds both, because HTTP requires them.
        writeln!(out, "host: {}", self.url.authority().map_or("", |authority| authority.as_str()))?;
        if self.length > 0 || self.method != Method::GET {
            writeln!(out, "content-length: {}", self.length)?;
        }
        let secrets = redaction.secrets(self.query());
        if let Some(members) = &self.json {
            writeln!(out, "\n[The body is JSON; a line for each member, those of others indented.]")?;
            return json_body::show(members, |name| OPEN_PARAMETERS.contains(&name), &secrets, redaction, out);
        }
        if self.length > 0 {
            writeln!(out, "\n[The body, a line for each parameter; it is sent as one line, with `&` between them.]")?;
        }
        for pair in &self.form {
            let Pair { sent, value, .. } = pair;
            let open = pair.is_open() && !secrets.are_in(value);
            let (sent_name, sent_value) = sent.split_once('=').unwrap_or((sent, ""));
            writeln!(out, "{sent_name}={}", if open { sent_value.to_owned() } else { redaction.token(value) })?;
        }
        Ok(())
    }

    /// The URL without its query, which may hold a key of the server's gateway.
    pub(super) fn open_url(&self) -> String {
        let url = self.url.to_string();
        url.split_once('?').map_or(url.as_str(), |(url, _)| url).to_owned()
    }

    pub(super) fn query(&self) -> &str {
        self.url.query().unwrap_or_default()
    }
}

fn pairs(text: &str) -> Vec<Pair> {
    text.split('&').filter_map(Pair::read).collect()
}

impl Pair {
    /// Whether the value is never secret.
    fn is_open(&self) -> bool {
        OPEN_PARAMETERS.contains(&self.name.as_str())
    }

    /// A value of a JSON body, with its path.
    fn of_json((name, value): (String, String)) -> Self {
        Pair { sent: value.clone(), name, value }
    }

    fn read(sent: &str) -> Option<Self> {
        let (name, value) = form_urlencoded::parse(sent.as_bytes()).into_owned().next()?;
        Some(Pair { sent: sent.to_owned(), name, value })
    }
}
