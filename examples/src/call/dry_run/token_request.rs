//! A token request that is safe to show.

use std::{io, io::Write};

use bytes::Bytes;
use http::{HeaderMap, Method, Uri, header};
use serde_json::{Map, Value};

use super::{super::redaction::Redaction, jwt::Jwt};

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

const ASSERTIONS: [&str; 2] = ["assertion", "client_assertion"];

pub(super) struct TokenRequest {
    method: Method,
    pub(super) url: Uri,
    headers: HeaderMap,
    form: Vec<Pair>,
    is_json: bool,
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
            form: match &json {
                Some(members) => members.iter().map(Pair::of_json).collect(),
                None => String::from_utf8_lossy(request.body()).split('&').filter_map(Pair::read).collect(),
            },
            is_json: json.is_some(),
            length: request.body().len(),
        }
    }

    /// The JWTs of the request, each with the name of its parameter.
    pub(super) fn assertions(&self) -> impl Iterator<Item = (&str, Jwt)> {
        let assertions = self.form.iter().filter(|pair| ASSERTIONS.contains(&pair.name.as_str()));
        assertions.filter_map(|pair| Some((pair.name.as_str(), Jwt::read(&pair.value)?)))
    }

    pub(super) fn show(&self, redaction: Redaction, out: &mut impl Write) -> io::Result<()> {
        write!(out, "{} {}", self.method, self.open_url())?;
        match self.query() {
            "" => writeln!(out)?,
            query => writeln!(out, "?{}", redaction.token(query))?,
        }
        for (name, value) in &self.headers {
            let shown = match *name {
                header::ACCEPT | header::CONTENT_TYPE | header::USER_AGENT => {
                    String::from_utf8_lossy(value.as_bytes()).into_owned()
                }
                header::AUTHORIZATION => redaction.authorization(value),
                _ => redaction.token(&String::from_utf8_lossy(value.as_bytes())),
            };
            writeln!(out, "{name}: {shown}")?;
        }
        // Every transport adds both, because HTTP requires them.
        writeln!(out, "host: {}", self.url.authority().map_or("", |authority| authority.as_str()))?;
        writeln!(out, "content-length: {}", self.length)?;
        if self.is_json {
            writeln!(out, "\n[The body is JSON; a line for each member.]")?;
        } else if self.length > 0 {
            writeln!(out, "\n[The body, a line for each parameter; it is sent as one line, with `&` between them.]")?;
        }
        for Pair { sent, name, value } in &self.form {
            let open = OPEN_PARAMETERS.contains(&name.as_str()) && !redaction.secrets(self.query()).are_in(value);
            if self.is_json {
                writeln!(out, "{name}: {}", if open { sent.clone() } else { redaction.token(value) })?;
                continue;
            }
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

impl Pair {
    /// A member of a JSON body. `value` is its string, or else its JSON.
    fn of_json((name, value): (&String, &Value)) -> Self {
        let sent = value.to_string();
        let value = value.as_str().map_or_else(|| sent.clone(), str::to_owned);
        Pair { sent, name: name.clone(), value }
    }

    fn read(sent: &str) -> Option<Self> {
        let (name, value) = form_urlencoded::parse(sent.as_bytes()).into_owned().next()?;
        Some(Pair { sent: sent.to_owned(), name, value })
    }
}
