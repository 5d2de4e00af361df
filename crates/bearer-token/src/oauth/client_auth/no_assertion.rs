//! Stand-ins for signed assertions in a build without the feature `jwt`. Neither type has a value.
//!
//! They exist so that no function body asks for the feature: a `match` on a value that cannot exist is code for every
//! case. The compiler removes all of it.

use crate::{
    error::Error,
    oauth::client_auth::{Audience, Changes},
    platform::Platform,
    problem::Problems,
    source::Identity,
    token::AccessToken,
};

/// The recipe for the assertions of a client.
#[derive(Clone)]
pub(crate) enum ClientAssertion {}

impl ClientAssertion {
    pub(crate) fn client_id(&self) -> &str {
        match *self {}
    }

    pub(crate) fn identity(&self, _: &mut Identity) {
        match *self {}
    }

    pub(crate) fn is_by_secret(&self) -> bool {
        match *self {}
    }

    pub(crate) fn has_own_audience(&self) -> bool {
        match *self {}
    }

    pub(crate) fn name(&self) -> &'static str {
        match *self {}
    }

    pub(crate) fn template(
        &self,
        _: Option<&Audience>,
        _: Option<&Audience>,
        _: &Changes,
        _: &mut Problems,
    ) -> Option<AssertionTemplate> {
        match *self {}
    }
}

/// A template that signs assertions.
pub(crate) enum AssertionTemplate {}

impl AssertionTemplate {
    pub(crate) async fn sign(&self, _: &Platform) -> Result<AccessToken, Error> {
        match *self {}
    }

    pub(crate) fn has_changed(&self) -> bool {
        match *self {}
    }
}
