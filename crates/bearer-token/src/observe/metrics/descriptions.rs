//! What a recorder shows beside each metric.

use ::metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// Describes all metrics to the recorder that is installed.
pub(super) fn describe() {
    let counters = [
        ("bearer_token.fetches", "Fetches that have ended."),
        ("bearer_token.unserved", "Callers that got no token, by what they got instead."),
        ("bearer_token.cache.reads", "Looks at the cache by requests, by what they found."),
        ("bearer_token.rejections", "Bearers that the API refused, by what became of them."),
        ("bearer_token.replays", "Refused requests that were sent once more."),
        ("bearer_token.not_replayed", "Refused requests that a replay could not send once more."),
        ("bearer_token.requests_without_token", "Requests to origins that get no token."),
        ("bearer_token.store.calls", "Calls of stores for refresh tokens and shared tokens."),
        ("bearer_token.warnings", "Events that a person should look at."),
    ];
    for (name, text) in counters {
        describe_counter!(name, Unit::Count, text);
    }
    let histograms = [
        ("bearer_token.fetch.duration", "How long fetches took."),
        ("bearer_token.wait.duration", "How long callers waited for a token."),
        ("bearer_token.store.call.duration", "How long calls of stores took."),
        ("http.client.request.duration", "How long requests to authorization servers took."),
    ];
    for (name, text) in histograms {
        describe_histogram!(name, Unit::Seconds, text);
    }
    describe_gauge!(
        "bearer_token.failures_in_a_row",
        Unit::Count,
        "How many fetches have failed since the last success."
    );
    let text = "When the token of the last successful fetch expires, as Unix time.";
    describe_gauge!("bearer_token.expires_at", Unit::Seconds, text);
    let text = "The remaining life with which the last token arrived.";
    describe_gauge!("bearer_token.lifetime", Unit::Seconds, text);
    let text = "When the next fetch may start after a failure, as Unix time; 0 if the last fetch succeeded.";
    describe_gauge!("bearer_token.next_attempt_at", Unit::Seconds, text);
}
