//! A refresh token in the store of the section `shared`.

use std::time::Duration;

use bearer_token::{
    Advice, Problem, Setting,
    oauth::RefreshToken,
    shared::{SealingKeys, SharedRefreshToken},
    store::SharedStore,
};

use super::Sharing;
use crate::sections::context::Context;

/// When a refresh token is sent again whose response was lost.
#[derive(Clone, Copy)]
pub(in crate::sections) struct Times {
    pub(in crate::sections) reusable_within: Option<Duration>,
    pub(in crate::sections) resend_after: Option<Duration>,
}

impl Times {
    pub(super) fn grant(self, store: impl SharedStore, keys: SealingKeys, name: String) -> RefreshToken {
        let mut tokens = SharedRefreshToken::new(store, keys, name);
        if let Some(period) = self.reusable_within {
            tokens = tokens.reusable_within(period);
        }
        if let Some(time) = self.resend_after {
            tokens = tokens.resend_after(time);
        }
        RefreshToken::new(tokens)
    }
}

const FIELD: &str = "refresh_token.shared";

impl Context<'_> {
    /// The grant on the refresh token in the store of the section `shared`, if nothing is wrong with that.
    pub(in crate::sections) fn shared_refresh_token(&mut self, times: Times) -> Option<RefreshToken> {
        let Some(sharing) = self.sharing else {
            // What is wrong with the section itself has been reported.
            if !self.has_shared_section {
                let problem = Problem::new(FIELD, "found `true` without a section `shared`");
                let problem = problem.expecting("the store for the refresh token");
                self.report.add(problem.advise(Advice::Set(Setting::Field("shared.url".into()))));
            }
            return None;
        };
        let Some((store, keys)) = &sharing.store else {
            let problem = Problem::new(FIELD, "found `true` beside a fleet that code gives");
            let problem = problem.expecting("a section `shared` with the `url` of the store");
            self.report.add(problem.advise(Advice::text("give the store in code as well: `SharedRefreshToken`")));
            return None;
        };
        let Some(name) = &sharing.name else {
            let problem = Problem::new("shared.name", "found nothing, although the store keeps a refresh token");
            self.report.add(problem.expecting("a name that tells this consent from all others in the store"));
            return None;
        };
        Some(store.refresh_token(keys.clone(), self.record(sharing, name), times))
    }

    /// The name of the refresh token of this source. Without a namespace, and outside of `sources`, it is the name
    /// alone, as code would give it.
    fn record(&self, sharing: &Sharing, name: &str) -> String {
        // Neither a name nor a namespace contains a control character.
        let place = if self.is_inside_source() { format!("\u{2}{}", self.place("")) } else { String::new() };
        match sharing.namespace.as_str() {
            "" => format!("{name}{place}"),
            namespace => format!("{namespace}\u{1}{name}{place}"),
        }
    }
}
