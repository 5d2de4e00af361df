//! The observation of a crowd of requests.

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) requests: usize,
    /// Requests that received status 200.
    pub(crate) ok: usize,
    /// Requests that received status 401.
    pub(crate) unauthorized: usize,
    /// Requests that were not sent, because the authorization server was unavailable.
    pub(crate) no_token: usize,
    /// Requests that arrived at the API.
    pub(crate) sent: u64,
    /// Requests that arrived at the token endpoint.
    pub(crate) token_requests: u64,
    /// Token requests without a response so far.
    pub(crate) hanging: u64,
    /// The distinct bearer tokens that arrived at the API, and how many of them were new.
    pub(crate) bearers: usize,
    pub(crate) new_bearers: usize,
}

impl Seen {
    /// All requests succeed, with one bearer and without a token request.
    pub(crate) fn served(requests: usize) -> Self {
        Seen { requests, ok: requests, sent: requests as u64, bearers: 1, ..Seen::default() }
    }

    /// The API refuses all requests, which carry one bearer.
    pub(crate) fn rejected(requests: usize) -> Self {
        Seen { ok: 0, unauthorized: requests, ..Seen::served(requests) }
    }

    /// No request is sent, because there is no token.
    pub(crate) fn not_sent(requests: usize) -> Self {
        Seen { requests, no_token: requests, ..Seen::default() }
    }

    pub(crate) fn token_requests(self, token_requests: u64) -> Self {
        Seen { token_requests, ..self }
    }

    pub(crate) fn hanging(self, hanging: u64) -> Self {
        Seen { hanging, ..self }
    }

    pub(crate) fn new_bearer(self) -> Self {
        Seen { new_bearers: 1, ..self }
    }
}

impl Seen {
    /// The cells for [`COLUMNS`].
    pub(crate) fn cells(self) -> [String; 4] {
        let Seen { requests, ok, unauthorized, no_token, sent, token_requests, hanging, bearers, new_bearers } = self;
        let others = requests - ok - unauthorized - no_token;
        let responses = [(ok, "200"), (unauthorized, "401"), (no_token, "no token"), (others, "another")]
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{} x {what}", grouped(*count as u64)))
            .collect::<Vec<_>>()
            .join(", ");
        let hanging = if hanging > 0 { format!(" ({hanging} hangs)") } else { String::new() };
        let bearers = match (bearers, new_bearers) {
            (0, _) => "-".to_owned(),
            (1, 0) => "1, the same".to_owned(),
            (1, 1) => "1, a new one".to_owned(),
            (all, new) => format!("{all}, {new} of them new"),
        };
        [responses, grouped(sent), format!("{token_requests}{hanging}"), bearers]
    }
}

/// The content of the cells.
pub(crate) const COLUMNS: [&str; 4] = ["responses", "API requests", "token requests", "tokens seen"];

/// Formats a number with a comma between groups of three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
