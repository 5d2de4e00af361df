//! Many requests at once.

use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll, time::Duration};

use bearer_token::platform::{BoxFuture, Platform};
use tokio::{sync::Barrier, task::JoinSet};

use crate::clients::{ApiClient, Outcome};

/// Requests in progress.
pub(crate) struct Crowd(JoinSet<anyhow::Result<Outcome>>);

impl Crowd {
    /// Starts this many requests through each client. Completes once each request was sent, or waits
    /// for a token.
    pub(crate) async fn start(clients: &[ApiClient], each: usize, url: &str) -> Self {
        let all_started = Arc::new(Barrier::new(clients.len() * each + 1));
        let mut crowd = JoinSet::new();
        for client in clients.iter().flat_map(|client| std::iter::repeat_n(client, each)) {
            let (client, url, all_started) = (client.clone(), url.to_owned(), Arc::clone(&all_started));
            crowd.spawn(async move {
                let mut request = pin!(client.get(url));
                let at_once = poll_fn(|cx| Poll::Ready(request.as_mut().poll(cx))).await;
                all_started.wait().await;
                match at_once {
                    Poll::Ready(outcome) => outcome,
                    Poll::Pending => request.await,
                }
            });
        }
        all_started.wait().await;
        Crowd(crowd)
    }

    /// The outcomes. Requests without a response for a long time are left out.
    pub(crate) async fn outcomes(mut self) -> anyhow::Result<Vec<Outcome>> {
        let mut outcomes = Vec::with_capacity(self.0.len());
        let mut patience = patience();
        loop {
            tokio::select! {
                outcome = self.0.join_next() => match outcome {
                    Some(outcome) => outcomes.push(outcome??),
                    None => return Ok(outcomes),
                },
                () = &mut patience => return Ok(outcomes),
            }
        }
    }
}

/// Longer than anything here takes, even on a busy machine. Only a bug reaches it.
pub(crate) fn patience() -> BoxFuture<()> {
    let platform = Platform::system();
    platform.sleep_until(platform.now().after(Duration::from_secs(60)).monotonic())
}
