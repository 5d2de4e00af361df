//! The section `shared`: a store through which all replicas use one token.

use bearer_token::{
    Error, Problem,
    shared::{Fleet, SealingKeys},
};
#[cfg(test)]
use schemars::JsonSchema;
use serde::Deserialize;

use super::context::{Context, Sharing};
use crate::{
    store::{Durability, Store},
    values::{SecretField, Text},
};

/// The store that the replicas of a program share, so that they fetch one token instead of one each.
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SharedFields {
    /// The URL of the store: `redis://host:6379`, or `postgres://user@host/database`, where the table exists. It may
    /// contain a password.
    url: Option<SecretField>,
    /// The keys that seal the tokens in the store: one per line, 32 bytes in Base64 (`openssl rand -base64 32`). The
    /// first one seals, all of them open. A file is read again.
    key: Option<SecretField>,
    /// A name for the token, if it depends on something that replicas cannot compare, such as the consent of a user.
    name: Option<Text>,
    /// Keeps the tokens apart from those of another deployment in the same store with the same keys.
    namespace: Option<Text>,
    /// Accepts a PostgreSQL that may lose acknowledged writes when its host crashes, as servers for tests do. Its
    /// `fsync` or `full_page_writes` is off, or the table is unlogged.
    test_server: bool,
    /// Accepts `full_page_writes = off` of PostgreSQL, because the file system of the server never writes a part of a
    /// page (ZFS).
    whole_pages: bool,
    /// Refuses a PostgreSQL whose commits wait for no standby (`synchronous_standby_names`), because a promoted standby
    /// may lack the latest refresh token.
    synchronous_standby: bool,
}

const URL: &str = "shared.url";
const KEY: &str = "shared.key";

impl SharedFields {
    /// The fleet, if nothing is wrong with the section. A fleet that code gives needs neither a URL nor a key.
    pub(crate) fn sharing(&self, given: Option<&Fleet>, cx: &mut Context<'_>) -> Option<Sharing> {
        let name = self.name.as_ref().map(|name| name.as_str().to_owned());
        if let Some(fleet) = given {
            return Some(Sharing::of(fleet, name));
        }
        let fields = [(URL, &self.url), (KEY, &self.key)];
        if fields.map(|(path, field)| field.as_ref().is_some_and(|field| cx.has_variable(path, field))).contains(&true)
        {
            return None;
        }
        let keys = cx.required(KEY, self.key.as_ref(), "the keys that seal the tokens: `{ file = \"..\" }`");
        let keys = keys.and_then(|keys| Self::keys(keys, cx));
        let url = cx.required(URL, self.url.as_ref(), "the URL of the store, such as `redis://localhost:6379`");
        let url = url.and_then(|url| cx.secret(URL, url))?;
        let durability = Durability {
            test_server: self.test_server,
            whole_pages: self.whole_pages,
            synchronous_standby: self.synchronous_standby,
        };
        let report = |problem: Problem| {
            let path = format!("shared.{}", problem.path());
            cx.report.add(problem.at(path));
        };
        let store = Store::open(&url, durability).map_err(report).ok()?;
        let (keys, namespace) = (keys?, self.namespace.as_ref().map_or("", Text::as_str).to_owned());
        let report = |error: Error| {
            for problem in error.problems() {
                cx.report.add(problem.clone().at(KEY));
            }
        };
        Sharing::in_store(store, keys, name, namespace).map_err(report).ok()
    }

    fn keys(field: &SecretField, cx: &mut Context<'_>) -> Option<SealingKeys> {
        match cx.file_of(field) {
            Some(file) => Some(SealingKeys::file(file)),
            None => cx.lines(KEY, field).map(|keys| SealingKeys::new(keys.as_str())),
        }
    }
}
