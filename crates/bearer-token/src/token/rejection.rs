//! What became of a rejection.
//!
//! A rejection goes from the API's response back to the provider, by way of the ticket that the request carried. Its
//! outcome says whether a resend makes sense; the adapter attaches it to the response for the caller.

/// What became of the rejection of a bearer.
///
/// An adapter puts it into the extensions of the response, and [`Ticket::reject`](crate::Ticket::reject) returns it to
/// code without an adapter. The usual sequence for one token that the API has revoked, with many requests in flight:
///
/// ```text
/// request 1: 401 -> Renewing     the bearer is withdrawn, a fetch begins
/// request 2: 401 -> Renewing     it joins the same fetch
///            fetch succeeds
/// request 3: 401 -> Superseded   it was sent with the old bearer; the new one is in service
/// request 4: 401 -> Declined     the API refuses the new bearer as well: no storm of fetches
/// ```
///
/// ```
/// use bearer_token::Rejection;
///
/// /// What to do with a request that may be sent twice.
/// fn next_step(outcome: Rejection) -> &'static str {
///     match outcome {
///         outcome if outcome.is_replay_useful() => "resend now",
///         Rejection::Settling => "wait for the settling time, then resend",
///         _ => "return the 401 to the caller",
///     }
/// }
///
/// assert_eq!(next_step(Rejection::Superseded), "resend now");
/// assert_eq!(next_step(Rejection::Declined), "return the 401 to the caller");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rejection {
    /// The bearer is withdrawn, and a new one is being fetched. If that fails, the old one is put back into service.
    Renewing,
    /// A newer bearer is in service already.
    /// Nothing is fetched: the refused request was sent before the renewal, and arrived late.
    Superseded,
    /// The bearer stays in service: it was renewed too recently, or the authorization server is failing.
    ///
    /// Fetching again would not help. The token is new, and the API refuses it for a reason that no new token changes,
    /// such as a missing permission. The pause is that of
    /// [`Policy::rejection_backoff`](crate::Policy::rejection_backoff).
    Declined,
    /// The bearer stays in service: it was fetched so recently that the API may not know it yet. See
    /// [`Sending::settle`](crate::Sending::settle).
    ///
    /// The same request may succeed later: wait for [`Ticket::settled`](crate::Ticket::settled), then resend it.
    Settling,
}

impl Rejection {
    /// Every outcome.
    #[cfg(feature = "metrics")]
    pub(crate) const ALL: [Rejection; 4] =
        [Rejection::Renewing, Rejection::Superseded, Rejection::Declined, Rejection::Settling];

    /// Whether sending the request again at once can succeed.
    ///
    /// It does not say that the request is safe to send twice: only the caller knows its method and body.
    pub fn is_replay_useful(self) -> bool {
        matches!(self, Rejection::Renewing | Rejection::Superseded)
    }

    /// Whether sending the request again can succeed, at once or later.
    pub(crate) fn can_replay_succeed(self) -> bool {
        self.is_replay_useful() || self == Rejection::Settling
    }

    /// The outcome as events and labels show it.
    ///
    /// Stable, like [`ErrorKind::as_str`](crate::ErrorKind::as_str).
    pub fn as_str(self) -> &'static str {
        match self {
            Rejection::Renewing => "renewing",
            Rejection::Superseded => "superseded",
            Rejection::Declined => "declined",
            Rejection::Settling => "settling",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_is_useful_if_another_bearer_exists_or_follows() {
        for (rejection, expected) in [
            (Rejection::Renewing, true),
            (Rejection::Superseded, true),
            (Rejection::Declined, false),
            (Rejection::Settling, false),
        ] {
            assert_eq!(rejection.is_replay_useful(), expected, "{rejection:?}");
        }
    }
}
