//! Fetches that are dropped, runtimes that are shut down and processes that are killed, in the middle of a save.

use std::{
    future::{Future, poll_fn},
    sync::{Arc, Mutex, mpsc},
    task::Poll,
};

use bearer_token::{ErrorKind, FetchContext, FetchReason, TokenSource, transport::Transport};
use bytes::Bytes;
use http::{Request, Response, StatusCode};

use super::*;

/// A server with one consent, which ends it when a refresh token is sent twice. It is a transport, so it never loses a
/// response.
#[derive(Clone, Default)]
struct Strict {
    /// The number of the valid refresh token, and how many others were sent.
    state: Arc<Mutex<(u64, u64)>>,
    /// Told when a request arrives, and when its response leaves.
    watcher: Option<mpsc::Sender<()>>,
}

impl Strict {
    fn valid(&self) -> String {
        format!("r{}", self.state.lock().unwrap().0)
    }

    fn refused(&self) -> u64 {
        self.state.lock().unwrap().1
    }

    fn tell(&self) {
        if let Some(watcher) = &self.watcher {
            let _ = watcher.send(());
        }
    }
}

impl Transport for Strict {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Error> {
        self.tell();
        tokio::task::yield_now().await;
        let form: Vec<(String, String)> = form_urlencoded::parse(request.body()).into_owned().collect();
        let sent = form.iter().find(|(name, _)| name == "refresh_token").map(|(_, token)| token.as_str());
        let is_valid = sent == Some(&self.valid());
        self.tell();
        let mut state = self.state.lock().unwrap();
        if !is_valid {
            state.1 += 1;
            let mut refusal = Response::new(Bytes::from_static(br#"{"error":"invalid_grant"}"#));
            *refusal.status_mut() = StatusCode::BAD_REQUEST;
            return Ok(refusal);
        }
        state.0 += 1;
        let next = state.0;
        Ok(Response::new(Bytes::from(format!(
            r#"{{"access_token":"a{next}","expires_in":3600,"refresh_token":"r{next}"}}"#
        ))))
    }
}

struct Setup {
    directory: TempDir,
    server: Strict,
    source: TokenEndpoint,
}

impl Setup {
    async fn new(server: Strict) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let grant = RefreshToken::new(FileStore::new(directory.path().join("refresh.json")));
        grant.replace(&Platform::system(), "r0").await.unwrap();
        let builder = TokenEndpoint::builder("https://as.example.com/token", grant);
        let source = builder.transport(server.clone()).build().unwrap();
        Setup { directory, server, source }
    }

    /// What a new process would find.
    async fn stored(&self) -> String {
        let store = FileStore::new(self.directory.path().join("refresh.json"));
        let _lease = store.lease(&Platform::system()).await.unwrap();
        store.load(&Platform::system()).await.unwrap().unwrap().secret().to_owned()
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.directory.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

/// Polls a future this often, each time after it has woken its task, and drops it.
async fn poll_times(future: impl Future, times: u32) {
    let mut future = Box::pin(future);
    let mut left = times;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        future.as_mut().poll(cx).map(drop)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn l27_a_dropped_fetch_loses_no_refresh_token() {
    let setup = Setup::new(Strict::default()).await;
    let cx = || FetchContext::new(Platform::system(), Duration::from_secs(10), FetchReason::Missing);
    for round in 0..60 {
        // Lease, load, prepare, response, save: the drop hits each of them.
        poll_times(setup.source.fetch(cx()), 1 + round % 7).await;
        setup.source.fetch(cx()).await.unwrap();
        assert_eq!(setup.stored().await, setup.server.valid(), "round {round}");
    }
    assert_eq!(setup.server.refused(), 0);
    assert_eq!(setup.names(), ["refresh.json"]);
}

#[test]
fn l11_a_runtime_that_is_shut_down_loses_no_refresh_token() {
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (watcher, events) = mpsc::channel();
    let first = runtime();
    let setup = first.block_on(Setup::new(Strict { watcher: Some(watcher), ..Strict::default() }));
    let provider = TokenProvider::builder(setup.source.clone()).build().unwrap();
    for round in 0..60 {
        let dying = runtime();
        let fetching = provider.clone();
        dying.spawn(async move { fetching.refresh_now().await });
        // When the request arrives, or when its response leaves.
        for _ in 0..=round % 2 {
            events.recv_timeout(Duration::from_secs(30)).unwrap();
        }
        dying.shutdown_background();
        let living = runtime();
        let result = living.block_on(provider.refresh_now());
        if let Err(error) = &result {
            assert!(error.is_transient() && error.kind() != ErrorKind::Config, "round {round}: {error}");
            living.block_on(provider.refresh_now()).unwrap();
        }
        assert_eq!(living.block_on(setup.stored()), setup.server.valid(), "round {round}");
        while events.try_recv().is_ok() {}
    }
    assert_eq!(setup.server.refused(), 0);
    assert_eq!(setup.names(), ["refresh.json"]);
}
