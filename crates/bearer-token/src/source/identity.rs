//! What decides which token a source gets.
//!
//! For tokens that replicas share: two sources with one identity get interchangeable tokens. The identity becomes the
//! name of a record by a keyed hash, so nothing of it is shown in the store.
//!
//! | belongs in it | does not |
//! |---|---|
//! | the token URL, the grant, the client id, the scope, the audience, each parameter | the secret or key: a rotated one gets the same tokens |
//! | the tenant or the user for whom it is asked | names, timeouts, policies |
//! | the contents of files that are sent | the paths of those files |
//!
//! If something is missing from it, two sources share a token by mistake, and a caller gets the rights of another. If
//! there is too much in it, replicas that should share do not. So a part that cannot be described makes the source
//! unknown, which is an error.

use std::{fmt, sync::Arc};

use zeroize::Zeroizing;

use crate::{error::Error, platform::BoxFuture, source::FetchContext};

/// Everything that decides which token a source gets, and nothing else.
///
/// Replicas share a token if their sources have the same identity. So it contains what reaches the server and shapes
/// the token: the server itself, the grant, the client, the scope, every parameter. It does not contain what may differ
/// between replicas that are to share: secrets, names, timeouts.
///
/// A source adds its parts in [`TokenSource::identity`](crate::TokenSource::identity). The order counts, and so does
/// each name. `Debug` shows names only.
///
/// ```
/// use bearer_token::{AccessToken, Error, FetchContext, Identity, TokenSource};
///
/// /// Gets tokens for a role from a vault.
/// struct Vault { url: String, role: String, login: String }
///
/// impl TokenSource for Vault {
///     async fn fetch(&self, _cx: FetchContext) -> Result<AccessToken, Error> {
/// #       let _ = &self.login;
///         // ..
/// #       Ok(AccessToken::new("t"))
///     }
///
///     fn identity(&self, identity: &mut Identity) {
///         // The login is a secret: a new one gets the same tokens.
///         identity.text("vault", &self.url);
///         identity.text("role", &self.role);
///     }
/// }
/// ```
#[derive(Clone, Default)]
pub struct Identity {
    parts: Vec<Part>,
    credentials: Vec<Lookup>,
    unknown: Vec<String>,
}

#[derive(Clone)]
enum Part {
    Named {
        name: String,
        values: Vec<PartValue>,
    },
    /// The parts of a source that may be replaced.
    #[allow(dead_code, reason = "used by `HotSwap`, which is behind a feature")]
    Nested(Describe),
}

#[derive(Clone)]
enum PartValue {
    Known(Zeroizing<Vec<u8>>),
    LookedUp(Lookup),
}

/// Looks a value up for one fetch.
type Lookup = Arc<dyn Fn(FetchContext) -> BoxFuture<Result<Zeroizing<Vec<u8>>, Error>> + Send + Sync>;

/// Describes a source for one fetch.
type Describe = Arc<dyn Fn(FetchContext) -> BoxFuture<Result<Identity, Error>> + Send + Sync>;

impl Identity {
    /// Adds a value. It may be a secret: only a keyed hash of it is stored.
    pub fn text(&mut self, name: impl Into<String>, value: impl AsRef<str>) {
        self.push(name, [PartValue::known(value.as_ref())]);
    }

    /// Adds values whose order and repetition mean nothing, such as the words of a scope.
    pub fn set<V: AsRef<str>>(&mut self, name: impl Into<String>, values: impl IntoIterator<Item = V>) {
        let mut values: Vec<_> = values.into_iter().map(|value| value.as_ref().to_owned()).collect();
        values.sort_unstable();
        values.dedup();
        self.push(name, values.iter().map(|value| PartValue::known(value)));
    }

    /// Notes that a part cannot be described, such as a token of the user for whom the request is made.
    ///
    /// Such a source is shared only under a name that the application gives it. `what` ends up in an error: keep
    /// secrets out of it.
    pub fn unknown(&mut self, what: impl Into<String>) {
        self.unknown.push(what.into());
    }

    /// Adds a value that is looked up for each fetch.
    #[allow(dead_code, reason = "used with the feature `oauth`")]
    pub(crate) fn looked_up(
        &mut self,
        name: impl Into<String>,
        lookup: impl Fn(FetchContext) -> BoxFuture<Result<Zeroizing<Vec<u8>>, Error>> + Send + Sync + 'static,
    ) {
        self.push(name, [PartValue::LookedUp(Arc::new(lookup))]);
    }

    /// Adds a value whose kind counts, so that the number 1 differs from the string `1`.
    #[allow(dead_code, reason = "used with the feature `oauth`")]
    pub(crate) fn typed(&mut self, name: impl Into<String>, kind: &str, value: impl AsRef<str>) {
        self.push(name, [PartValue::known(kind), PartValue::known(value.as_ref())]);
    }

    /// Adds the parts of another source, which are collected again for each fetch: it may be replaced. Its credentials
    /// and its unknown parts do not count.
    #[allow(dead_code, reason = "used by `HotSwap`, which is behind a feature")]
    pub(crate) fn nested(
        &mut self,
        describe: impl Fn(FetchContext) -> BoxFuture<Result<Identity, Error>> + Send + Sync + 'static,
    ) {
        self.parts.push(Part::Nested(Arc::new(describe)));
    }

    /// Adds the credential. It is not part of the identity. It tells whether a refusal of the credential concerns
    /// another replica.
    #[allow(dead_code, reason = "used with the feature `oauth`")]
    pub(crate) fn credential(
        &mut self,
        lookup: impl Fn(FetchContext) -> BoxFuture<Result<Zeroizing<Vec<u8>>, Error>> + Send + Sync + 'static,
    ) {
        self.credentials.push(Arc::new(lookup));
    }

    fn push(&mut self, name: impl Into<String>, values: impl IntoIterator<Item = PartValue>) {
        self.parts.push(Part::Named { name: name.into(), values: values.into_iter().collect() });
    }
}

impl Part {
    fn name(&self) -> &str {
        match self {
            Part::Named { name, .. } => name,
            Part::Nested(_) => "(a source that may be replaced)",
        }
    }
}

impl PartValue {
    fn known(text: &str) -> Self {
        PartValue::Known(Zeroizing::new(text.as_bytes().to_vec()))
    }
}

#[allow(dead_code, reason = "used with the feature `shared`")]
impl Identity {
    /// The parts that cannot be described.
    pub(crate) fn unknown_parts(&self) -> &[String] {
        &self.unknown
    }

    /// All parts for one fetch as one string of bytes, each with its length before it. So no two identities have the
    /// same bytes.
    pub(crate) async fn canonical(&self, cx: &FetchContext) -> Result<Zeroizing<Vec<u8>>, Error> {
        let mut bytes = Zeroizing::new(Vec::new());
        for part in &self.parts {
            match part {
                Part::Named { name, values } => {
                    push_length_and(&mut bytes, name.as_bytes());
                    bytes.extend_from_slice(&length(values.len()));
                    for value in values {
                        match value {
                            PartValue::Known(known) => push_length_and(&mut bytes, known),
                            PartValue::LookedUp(lookup) => push_length_and(&mut bytes, &lookup(cx.clone()).await?),
                        }
                    }
                }
                // As if that source were this one, so that it shares with replicas that have it alone.
                Part::Nested(describe) => {
                    let nested = describe(cx.clone()).await?;
                    bytes.extend_from_slice(&Box::pin(nested.canonical(cx)).await?);
                }
            }
        }
        Ok(bytes)
    }

    /// The credentials for one fetch, as one string of bytes. Empty if there is none.
    pub(crate) async fn credentials(&self, cx: &FetchContext) -> Result<Zeroizing<Vec<u8>>, Error> {
        let mut bytes = Zeroizing::new(Vec::new());
        for lookup in &self.credentials {
            push_length_and(&mut bytes, &lookup(cx.clone()).await?);
        }
        Ok(bytes)
    }
}

/// A length as eight bytes, the same on every machine.
fn length(length: usize) -> [u8; 8] {
    u64::try_from(length).unwrap_or(u64::MAX).to_be_bytes()
}

/// Adds a part with its length before it, so that `ab` and `c` differ from `a` and `bc`.
fn push_length_and(bytes: &mut Vec<u8>, part: &[u8]) {
    bytes.extend_from_slice(&length(part.len()));
    bytes.extend_from_slice(part);
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.parts.iter().map(Part::name).collect();
        f.debug_struct("Identity").field("parts", &names).field("unknown", &self.unknown).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[cfg(not(bearer_loom))]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::{platform::Platform, test_support::first_fetch};

    async fn bytes(describe: impl FnOnce(&mut Identity)) -> Vec<u8> {
        let mut identity = Identity::default();
        describe(&mut identity);
        identity.canonical(&first_fetch(Platform::system())).await.unwrap().to_vec()
    }

    #[tokio::test]
    async fn no_two_lists_have_the_same_bytes() {
        let all = [
            bytes(|_| {}).await,
            bytes(|id| id.text("ab", "c")).await,
            bytes(|id| id.text("a", "bc")).await,
            bytes(|id| id.text("a", "")).await,
            bytes(|id| id.set("a", [""; 0])).await,
            bytes(|id| id.set("a", ["b", "c"])).await,
            bytes(|id| id.set("a", ["b", "c", "d"])).await,
            bytes(|id| {
                id.text("a", "b");
                id.text("a", "c");
            })
            .await,
            bytes(|id| {
                id.text("a", "c");
                id.text("a", "b");
            })
            .await,
        ];
        for (index, one) in all.iter().enumerate() {
            assert_eq!(all.iter().filter(|other| *other == one).count(), 1, "{index}");
        }
    }

    #[tokio::test]
    async fn a_set_has_neither_order_nor_repetition() {
        assert_eq!(bytes(|id| id.set("s", ["b", "a", "b"])).await, bytes(|id| id.set("s", ["a", "b"])).await);
    }

    #[tokio::test]
    async fn a_nested_source_counts_as_itself_at_each_fetch() {
        let number = Arc::new(AtomicUsize::new(0));
        let mut identity = Identity::default();
        identity.text("a", "b");
        let counted = number.clone();
        identity.nested(move |_| {
            let number = counted.load(Ordering::Relaxed).to_string();
            Box::pin(async move {
                let mut nested = Identity::default();
                nested.text("number", number);
                Ok(nested)
            })
        });
        for text in ["0", "1"] {
            let alone = bytes(|id| {
                id.text("a", "b");
                id.text("number", text);
            });
            assert_eq!(*identity.canonical(&first_fetch(Platform::system())).await.unwrap(), alone.await);
            number.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[tokio::test]
    async fn a_kind_is_no_part_of_a_name() {
        assert_ne!(bytes(|id| id.typed("n", "number", "1")).await, bytes(|id| id.text("n: number", "1")).await);
        assert_ne!(bytes(|id| id.typed("n", "number", "1")).await, bytes(|id| id.text("n", "1")).await);
        assert_ne!(bytes(|id| id.typed("n", "number", "1")).await, bytes(|id| id.typed("n", "bool", "1")).await);
    }

    #[tokio::test]
    async fn a_credential_is_no_part_of_the_bytes() {
        let with = bytes(|id| {
            id.text("a", "b");
            id.credential(|_| Box::pin(async { Ok(Zeroizing::new(b"MARKER".to_vec())) }));
        })
        .await;
        assert_eq!(with, bytes(|id| id.text("a", "b")).await);
    }

    #[test]
    fn debug_shows_names_and_no_values() {
        let mut identity = Identity::default();
        identity.text("audience", "MARKER");
        let text = format!("{identity:?}");
        assert!(text.contains("audience") && !text.contains("MARKER"), "{text}");
    }
}
