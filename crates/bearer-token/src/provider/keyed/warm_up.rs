//! Fetching the tokens of many keys before they are needed.

use std::{
    future::{self, Future},
    hash::Hash,
    pin::Pin,
    task::Poll,
};

use super::KeyedProviders;
use crate::{error::Error, provider::TokenFuture};

impl<K: Hash + Eq + Clone + Send + Sync + 'static> KeyedProviders<K> {
    /// Waits for a usable bearer of each key, at most `at_once` of them at the same time. Returns the keys that failed,
    /// with their errors.
    ///
    /// For the start of a process, before it reports that it is ready. Dropping the future leaves the fetches in
    /// progress alone.
    ///
    /// ```
    /// use bearer_token::{AccessToken, Error, ErrorKind, FetchContext, KeyedProviders, TokenProvider};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// let tenants = KeyedProviders::builder(|tenant: &String| {
    ///     let is_known = tenant != "nobody";
    ///     let source = move |_cx: FetchContext| async move {
    ///         if is_known { Ok(AccessToken::new("t")) } else { Err(Error::new(ErrorKind::Refused, "no such client")) }
    ///     };
    ///     Ok(TokenProvider::builder(source))
    /// })
    /// .build()?;
    /// let keys = ["acme", "umbrella", "nobody"].map(str::to_owned);
    /// let failed = tenants.warm_up(keys, 2).await;
    /// assert_eq!(failed.len(), 1);
    /// assert_eq!(failed[0].0, "nobody");
    /// # Ok(()) }
    /// ```
    ///
    /// With an `at_once` of zero, one key is fetched at a time.
    pub async fn warm_up(&self, keys: impl IntoIterator<Item = K>, at_once: usize) -> Vec<(K, Error)> {
        let mut keys = keys.into_iter();
        let mut waiting: Vec<(K, TokenFuture)> = Vec::new();
        let mut failed = Vec::new();
        future::poll_fn(|cx| {
            loop {
                let mut place = 0;
                while let Some((_, token)) = waiting.get_mut(place) {
                    match Pin::new(token).poll(cx) {
                        Poll::Pending => place += 1,
                        Poll::Ready(result) => {
                            let (key, _) = waiting.swap_remove(place);
                            failed.extend(result.err().map(|error| (key, error)));
                        }
                    }
                }
                let mut is_new = false;
                while waiting.len() < at_once.max(1)
                    && let Some(key) = keys.next()
                {
                    match self.token::<K>(&key) {
                        Ok(token) => waiting.push((key, token)),
                        Err(error) => failed.push((key, error)),
                    }
                    is_new = true;
                }
                if waiting.is_empty() {
                    return Poll::Ready(());
                }
                if !is_new {
                    return Poll::Pending;
                }
            }
        })
        .await;
        failed
    }
}
