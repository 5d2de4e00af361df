//! The section `refresh_token`: a refresh token to exchange.

use std::path::PathBuf;

use bearer_token::{
    Advice, Error, Problem, Setting, TokenProviderBuilder,
    oauth::RefreshToken,
    platform::Platform,
    store::{FileStore, Lease, MemoryStore, RefreshTokenStore, StoredToken},
};
#[cfg(test)]
use schemars::JsonSchema;
use serde::Deserialize;

use super::{context::Context, token_endpoint::EndpointFields};
use crate::{
    store::Times,
    values::{Seconds, SecretField},
};

/// A refresh token (RFC 6749 section 6).
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RefreshFields {
    /// The file for the refresh token, which the server replaces. Its directory must be writable for this process.
    file: Option<PathBuf>,
    /// The refresh token to begin with, and to use when the one in the file is gone.
    initial: Option<SecretField>,
    /// The server accepts the same one again. Then `file` may be left out.
    reusable: bool,
    /// Keep the previous refresh token, and retry with it if its successor is refused before it ever worked.
    retry_previous: bool,
    /// Keep the refresh token in the store of `shared`, under `shared.name`, in place of `file`. Then any number of
    /// hosts use it, and it is spent once.
    shared: bool,
    /// With `shared`: the server accepts a used refresh token again within this time, for clients that lost the
    /// response.
    reusable_within: Option<Seconds>,
    /// With `shared`: send a refresh token again if its response has been missing for this time. If the server had used
    /// it up, the consent ends.
    resend_after: Option<Seconds>,
}

impl RefreshFields {
    /// A builder on the refresh token grant, if nothing is wrong with it.
    pub(super) fn source(
        &self,
        endpoint: Option<&EndpointFields>,
        cx: &mut Context<'_>,
    ) -> Option<TokenProviderBuilder> {
        let grant = self.grant(cx);
        let endpoint =
            cx.required("token_endpoint", endpoint, "the token endpoint that exchanges the refresh token")?;
        // With a stand-in, the endpoint is checked as well.
        let source = endpoint.source(grant.clone().unwrap_or_else(|| RefreshToken::new(MemoryStore::default())), cx)?;
        grant.map(|_| cx.provider(source))
    }

    /// The grant on the file, if nothing is wrong with it: to store the first refresh token there.
    pub(super) fn stored_grant(&self, cx: &mut Context<'_>) -> Option<RefreshToken> {
        if !self.shared {
            cx.required("refresh_token.file", self.file.as_ref(), "a file to store the refresh token in")?;
        }
        self.grant(cx)
    }

    /// Whether the refresh token is kept in the store of the section `shared`.
    pub(super) fn is_shared(&self) -> bool {
        self.shared
    }

    /// Reports a `file` that several sets of variables would share, or a name: each needs its own refresh token.
    pub(super) fn report_sharing(&self, cx: &mut Context<'_>) {
        let expected = "an `initial` one that is `reusable`, or a store for each key, in code";
        if self.file.is_some() {
            let problem = Problem::new("refresh_token.file", "found one file for the refresh tokens of all keys");
            cx.report.add(problem.expecting(expected));
        }
        if self.shared {
            let problem = Problem::new("refresh_token.shared", "found one name for the refresh tokens of all keys");
            cx.report.add(problem.expecting(expected));
        }
    }

    /// The grant on the store of the section `shared`, if nothing is wrong with it.
    fn shared_grant(&self, cx: &mut Context<'_>) -> Option<RefreshToken> {
        if cx.is_dry_run {
            // Nothing is asked, so a stand-in is sent for what is in the store.
            return Some(RefreshToken::new(MemoryStore::default()).initial("refresh-token"));
        }
        let time = |time: Option<Seconds>| time.map(|Seconds(time)| time);
        let times = Times { reusable_within: time(self.reusable_within), resend_after: time(self.resend_after) };
        cx.shared_refresh_token(times)
    }

    /// Reports fields that contradict each other.
    fn check_store(&self, cx: &mut Context<'_>) {
        if self.shared && self.file.is_some() {
            let problem = Problem::new("refresh_token.shared", "found a second store beside `refresh_token.file`");
            cx.report.add(problem.advise(Advice::Remove(Setting::Field("refresh_token.file".into()))));
        }
        let fields = [("reusable_within", self.reusable_within), ("resend_after", self.resend_after)];
        for (name, _) in fields.into_iter().filter(|(_, time)| time.is_some() && !self.shared) {
            let path = format!("refresh_token.{name}");
            let problem = Problem::new(path, "found a time that only a shared refresh token has");
            cx.report.add(problem.advise(Advice::TurnOn(Setting::Field("refresh_token.shared".into()))));
        }
    }

    fn grant(&self, cx: &mut Context<'_>) -> Option<RefreshToken> {
        self.check_store(cx);
        let initial = self.initial.as_ref().map(|initial| cx.secret("refresh_token.initial", initial));
        let mut grant = match &self.file {
            _ if self.shared => self.shared_grant(cx)?,
            Some(file) if cx.is_dry_run => RefreshToken::new(ReadOnly(FileStore::new(cx.directory.join(file)))),
            Some(file) => RefreshToken::new(FileStore::new(cx.directory.join(file))),
            None if self.reusable && initial.is_some() => RefreshToken::new(MemoryStore::default()),
            None => {
                let field = |name: &'static str| Setting::Field(name.into());
                cx.report.add(
                    Problem::new("refresh_token.file", "found nothing")
                        .expecting("a file for the new refresh token in each response")
                        .advise(Advice::Set(field("refresh_token.file")))
                        .advise(Advice::TurnOn(field("refresh_token.shared")))
                        .advise(Advice::text(
                            "give an `initial` one that is `reusable`, if the server accepts the same one again",
                        )),
                );
                return None;
            }
        };
        if let Some(initial) = initial {
            grant = grant.initial(initial?.as_str());
        }
        if self.reusable {
            grant = grant.reusable();
        }
        if self.retry_previous {
            grant = grant.retry_previous();
        }
        Some(grant)
    }
}

/// A store that a dry run does not write to.
struct ReadOnly(FileStore);

impl RefreshTokenStore for ReadOnly {
    async fn load(&self, platform: &Platform) -> Result<Option<StoredToken>, Error> {
        self.0.load(platform).await
    }

    async fn swap(&self, _: &Platform, _: Option<&StoredToken>, _: Option<&StoredToken>) -> Result<bool, Error> {
        Ok(true)
    }

    async fn lease(&self, _: &Platform) -> Result<Lease, Error> {
        Ok(Lease::free())
    }
}
