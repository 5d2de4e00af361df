//! What became of a rejection.

/// What became of the rejection of a bearer.
///
/// | outcome | the request may be sent again | with |
/// |---|---|---|
/// | [`Renewing`](Self::Renewing) | after a wait for the new bearer | the new bearer; the old one if the renewal fails |
/// | [`Superseded`](Self::Superseded) | at once | the newer bearer |
/// | [`Settling`](Self::Settling) | after the settling time | the same bearer |
/// | [`Declined`](Self::Declined) | not with a better result | - |
///
/// Adapters put it among the extensions of the refused response, so a retry policy of yours can decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rejection {
    /// The bearer is withdrawn, and a new one is being fetched. If that fails, the old one is put back into service.
    Renewing,
    /// A newer bearer is in service already.
    Superseded,
    /// The bearer stays in service: it was renewed too recently, or the authorization server is failing.
    Declined,
    /// The bearer stays in service: it was fetched so recently that the API may not know it yet. See
    /// [`Sending::settle`](crate::Sending::settle).
    ///
    /// The same request may succeed later: wait for [`Ticket::settled`](crate::Ticket::settled), then resend it.
    Settling,
}

impl Rejection {
    /// Whether sending the request again at once can go better.
    pub fn is_replay_useful(self) -> bool {
        matches!(self, Rejection::Renewing | Rejection::Superseded)
    }

    /// The outcome as events and labels show it.
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
