//! Why a replica fetches a token: what its store has said before.

use std::{
    mem,
    time::{Duration, Instant},
};

use bearer_token::observe::{EventKind, StoreOperation, StoreOutcome};

/// A fetch may begin this much later than the look at the pause that explains it, on a machine that is busy.
const LATE: Duration = Duration::from_millis(500);

/// What the store has said, which is the reason of the fetch that begins next.
#[derive(Debug, Default)]
pub struct Said {
    has_lease: bool,
    /// Whether its last call got no answer.
    was_unanswered: bool,
    /// The end of the time in which the store is left alone.
    suspended_until: Option<Instant>,
    /// Whether there is no store.
    is_without: bool,
}

impl Said {
    pub fn without_store() -> Self {
        Said { is_without: true, ..Said::default() }
    }

    /// Takes note of an event. Returns the words for it.
    pub fn heard(&mut self, event: &EventKind<'_>, now: Instant) -> Vec<String> {
        match *event {
            EventKind::StoreCall { operation, outcome, .. } => self.called(operation, outcome),
            EventKind::SharedStoreSuspended { pause, .. } => self.suspended(pause, now),
            _ => Vec::new(),
        }
    }

    pub(crate) fn called(&mut self, operation: StoreOperation, outcome: StoreOutcome) -> Vec<String> {
        if outcome == StoreOutcome::Failed {
            self.was_unanswered = true;
            let unsaved = matches!(operation, StoreOperation::Save).then(|| "unsaved".to_owned());
            return ["unanswered".to_owned()].into_iter().chain(unsaved).collect();
        }
        (self.was_unanswered, self.suspended_until) = (false, None);
        match (operation, outcome) {
            (StoreOperation::Lease, StoreOutcome::Ok) => self.has_lease = true,
            (StoreOperation::Save, StoreOutcome::Conflict) => return vec!["beaten".to_owned()],
            _ => {}
        }
        Vec::new()
    }

    pub(crate) fn suspended(&mut self, pause: Duration, now: Instant) -> Vec<String> {
        self.suspended_until = Some(now + pause);
        vec![format!("suspended {}", pause.as_millis())]
    }

    /// The word for the fetch that begins now. An answer explains one fetch.
    pub fn reason(&mut self, now: Instant) -> &'static str {
        let is_suspended = self.suspended_until.is_some_and(|end| now < end + LATE);
        match (mem::take(&mut self.has_lease), mem::take(&mut self.was_unanswered)) {
            (true, _) => "fetch",
            (false, was_unanswered) if was_unanswered || is_suspended || self.is_without => "alone",
            (false, _) => "needless",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fetch_that_the_store_does_not_explain_is_needless() {
        let now = Instant::now();
        let mut said = Said::default();
        assert_eq!(said.reason(now), "needless", "the store was not asked");
        said.called(StoreOperation::Lease, StoreOutcome::Ok);
        assert_eq!((said.reason(now), said.reason(now)), ("fetch", "needless"), "a lease is for one fetch");
        said.called(StoreOperation::Lease, StoreOutcome::Conflict);
        assert_eq!(said.reason(now), "needless", "another replica has the lease");
        said.called(StoreOperation::Load, StoreOutcome::Ok);
        assert_eq!(said.reason(now), "needless", "there is a record");
    }

    #[test]
    fn a_call_without_an_answer_explains_one_fetch() {
        let now = Instant::now();
        let mut said = Said::default();
        assert_eq!(said.called(StoreOperation::Save, StoreOutcome::Failed), ["unanswered", "unsaved"]);
        assert_eq!((said.reason(now), said.reason(now)), ("alone", "needless"));
        assert_eq!(said.called(StoreOperation::Load, StoreOutcome::Failed), ["unanswered"]);
        said.called(StoreOperation::Load, StoreOutcome::Absent);
        assert_eq!(said.reason(now), "needless", "the store has answered since");
    }

    #[test]
    fn a_pause_explains_fetches_until_it_ends() {
        let (now, pause) = (Instant::now(), Duration::from_secs(1));
        let mut said = Said::default();
        assert_eq!(said.suspended(pause, now), ["suspended 1000"]);
        assert_eq!((said.reason(now), said.reason(now + pause)), ("alone", "alone"));
        assert_eq!(said.reason(now + pause + LATE), "needless");
        said.suspended(pause, now);
        said.called(StoreOperation::Load, StoreOutcome::Ok);
        assert_eq!(said.reason(now), "needless", "the store is asked again, and answers");
        assert_eq!(Said::without_store().reason(now), "alone");
    }
}
