use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use super::*;
use crate::{
    TokenProvider,
    platform::Platform,
    test_support::{ManualClock, first_fetch},
};

/// Which secrets the server knows, which it was shown, and whether it is down.
#[derive(Clone, Default)]
struct Server(Arc<Mutex<(BTreeSet<String>, Vec<String>)>>, Arc<AtomicBool>);

impl Server {
    fn knows(&self, secrets: &[&str]) {
        lock(&self.0).0 = secrets.iter().map(|secret| (*secret).to_owned()).collect();
    }

    fn is_down(&self, is_down: bool) {
        self.1.store(is_down, Ordering::Relaxed);
    }

    fn shown(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.0).1)
    }

    fn source(&self, secret: &str) -> impl TokenSource + use<> {
        let (server, secret) = (self.clone(), secret.to_owned());
        move |_cx: FetchContext| {
            let (server, secret) = (server.clone(), secret.clone());
            async move {
                let is_down = server.1.load(Ordering::Relaxed);
                let mut server = lock(&server.0);
                server.1.push(secret.clone());
                match (secret.as_str(), server.0.contains(&secret)) {
                    _ if is_down => Err(Error::new(ErrorKind::Unavailable, "HTTP 503")),
                    ("down", _) => Err(Error::new(ErrorKind::Transport, "no connection")),
                    (_, true) => Ok(AccessToken::new(format!("token-by-{secret}")).expires_in(HOUR)),
                    (_, false) => Err(Error::new(ErrorKind::Refused, "the server refused the client")),
                }
            }
        }
    }
}

const HOUR: Duration = Duration::from_secs(3600);

async fn fetch(swap: &HotSwap) -> Result<String, Error> {
    let token = TokenSource::fetch(swap, first_fetch(Platform::system())).await?;
    Ok(token.secret().to_owned())
}

fn is_previous(swap: &HotSwap) -> bool {
    matches!(swap.in_use(), CredentialInUse::Previous(_))
}

fn is_pending(swap: &HotSwap) -> bool {
    matches!(swap.in_use(), CredentialInUse::Pending)
}

fn is_latest(swap: &HotSwap) -> bool {
    matches!(swap.in_use(), CredentialInUse::Latest)
}

#[tokio::test]
async fn the_previous_credential_serves_until_the_latest_works() {
    let server = Server::default();
    server.knows(&["old"]);
    let swap = HotSwap::new(server.source("old"));
    assert!(is_latest(&swap), "there was never another one");
    assert_eq!(fetch(&swap).await.unwrap(), "token-by-old");
    assert!(is_latest(&swap));
    swap.replace(server.source("new"));
    assert!(is_pending(&swap), "the old one must not be revoked yet");
    assert!(TokenSource::has_changed(&swap), "a cool-down ends");
    assert_eq!(fetch(&swap).await.unwrap(), "token-by-old");
    assert!(is_previous(&swap) && !TokenSource::has_changed(&swap));
    assert_eq!(server.shown(), ["old", "new", "old"]);

    server.knows(&["old", "new"]);
    assert_eq!(fetch(&swap).await.unwrap(), "token-by-new");
    assert!(is_latest(&swap));
    server.knows(&["old"]);
    fetch(&swap).await.unwrap_err();
    assert_eq!(server.shown(), ["new", "new"], "the previous one is gone");
}

#[tokio::test]
async fn the_last_one_that_worked_is_kept_over_several_replacements() {
    let server = Server::default();
    server.knows(&["old"]);
    let swap = HotSwap::new(server.source("old"));
    swap.replace(server.source("mistaken"));
    fetch(&swap).await.unwrap();
    swap.replace(server.source("new"));
    assert_eq!(fetch(&swap).await.unwrap(), "token-by-old");
    server.knows(&["new"]);
    assert_eq!(fetch(&swap).await.unwrap(), "token-by-new");
}

/// Two providers share it. The first was refused, and waits for the previous credential.
#[tokio::test]
async fn a_refusal_that_is_overtaken_by_a_token_is_past() {
    for next in [None, Some("newer")] {
        let server = Server::default();
        server.knows(&["old"]);
        let (old, go) = (Arc::new(server.source("old")), Arc::new(tokio::sync::Notify::new()));
        let wait = Arc::clone(&go);
        let swap = HotSwap::new(move |cx: FetchContext| {
            let (old, wait) = (Arc::clone(&old), Arc::clone(&wait));
            async move {
                wait.notified().await;
                TokenSource::fetch(&*old, cx).await
            }
        });
        swap.replace(server.source("new"));
        let mut slow = std::pin::pin!(fetch(&swap));
        assert!(std::future::poll_fn(|cx| std::task::Poll::Ready(slow.as_mut().poll(cx).is_pending())).await);
        server.knows(&["old", "new"]);
        assert_eq!(fetch(&swap).await.unwrap(), "token-by-new");
        if let Some(next) = next {
            swap.replace(server.source(next));
        }
        go.notify_one();
        assert_eq!(slow.await.unwrap(), "token-by-old");
        assert!(if next.is_some() { is_pending(&swap) } else { is_latest(&swap) }, "{next:?}");
    }
}

#[tokio::test]
async fn an_outage_and_two_refusals_are_errors_of_the_latest() {
    let server = Server::default();
    server.knows(&["old"]);
    let swap = HotSwap::new(server.source("old"));
    swap.replace(server.source("down"));
    assert_eq!(fetch(&swap).await.unwrap_err().kind(), ErrorKind::Transport);
    assert_eq!(server.shown(), ["down"], "an outage shows no other credential");
    assert!(TokenSource::has_changed(&swap) && is_pending(&swap), "an outage says nothing about it");
    server.knows(&[]);
    swap.replace(server.source("new"));
    assert_eq!(fetch(&swap).await.unwrap_err().kind(), ErrorKind::Refused);
    assert!(is_previous(&swap) && !TokenSource::has_changed(&swap));
}

/// The server knows only the old secret, and then the connection is gone.
#[tokio::test]
async fn an_outage_of_the_previous_one_is_no_refusal() {
    let server = Server::default();
    let swap = HotSwap::new(server.source("down"));
    swap.replace(server.source("new"));
    let error = fetch(&swap).await.unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Transport, true));
    let text = error.to_string();
    assert!(text.contains("no connection") && text.contains("the server refused the client"), "{text}");
    assert_eq!(server.shown(), ["new", "down"]);
}

#[tokio::test]
async fn a_followed_file_is_looked_at_before_each_fetch() {
    let server = Server::default();
    server.knows(&["old"]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "old\n").unwrap();
    let make = server.clone();
    let swap = HotSwap::following(Value::file(file.path()), move |secret| match secret {
        "bad" => Err(Error::new(ErrorKind::Config, "unusable")),
        secret => Ok(make.source(secret)),
    })
    .unwrap();
    assert_eq!(fetch(&swap).await.unwrap(), "token-by-old");
    assert!(!TokenSource::has_changed(&swap));
    for (content, problem) in [("new", "the server refused the client"), ("bad", "unusable")] {
        std::fs::write(file.path(), content).unwrap();
        assert!(TokenSource::has_changed(&swap));
        assert_eq!(fetch(&swap).await.unwrap(), "token-by-old");
        let CredentialInUse::Previous(error) = swap.in_use() else { panic!("{swap:?}") };
        assert_eq!(error.to_string(), problem);
    }
    server.knows(&["new"]);
    assert_eq!(fetch(&swap).await.unwrap(), "token-by-new");
    assert!(is_previous(&swap), "the file has another one");
    std::fs::write(file.path(), "newest").unwrap();
    server.knows(&["newest"]);
    assert_eq!(fetch(&swap).await.unwrap(), "token-by-newest");
    assert!(is_latest(&swap));
    assert!(HotSwap::following(Value::file("/missing"), |_| Ok(Server::default().source("x"))).is_err());
}

/// Two fetches read at once. The first has found the old value, and ends last.
#[tokio::test]
async fn a_late_read_puts_no_older_credential_back() {
    let server = Server::default();
    server.knows(&["first", "old", "new"]);
    let (go, reads) = (Arc::new(tokio::sync::Notify::new()), Arc::new(Mutex::new(0)));
    let wait = Arc::clone(&go);
    let written = TokenProvider::builder(move |_cx: FetchContext| {
        let wait = Arc::clone(&wait);
        let number = {
            let mut reads = lock(&reads);
            *reads += 1;
            *reads
        };
        async move {
            if number > 1 {
                return Ok(AccessToken::new("new").expires_in(HOUR));
            }
            wait.notified().await;
            Ok(AccessToken::new("old").expires_in(HOUR))
        }
    });
    let value = Value::token_of(written.build().unwrap()).fresh();
    let make = server.clone();
    let make: Box<Make> = Box::new(move |secret| {
        let source: Arc<dyn DynTokenSource> = Arc::new(make.source(&String::from_utf8_lossy(secret)));
        Ok(source)
    });
    let followed = Followed { value, content: Content::Text, make };
    let first = Some(Zeroizing::new(b"first".to_vec()));
    let swap = HotSwap::with(Arc::new(server.source("first")), first, Some(followed));
    let mut late = std::pin::pin!(fetch(&swap));
    assert!(std::future::poll_fn(|cx| std::task::Poll::Ready(late.as_mut().poll(cx).is_pending())).await);
    go.notify_one();
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    assert_eq!(fetch(&swap).await.unwrap(), "token-by-new");
    assert_eq!(late.await.unwrap(), "token-by-new");
    assert_eq!(server.shown(), ["new", "new"], "and never the old one");
    assert!(is_latest(&swap));
}

#[tokio::test]
async fn a_followed_key_has_all_its_bytes() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), b"-----BEGIN\n\xff\n").unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let note = Arc::clone(&seen);
    let swap = HotSwap::following_key(Value::file(file.path()), move |key| {
        lock(&note).push(key.to_vec());
        Ok(Server::default().source("unknown"))
    })
    .unwrap();
    std::fs::write(file.path(), b"new\n").unwrap();
    fetch(&swap).await.unwrap_err();
    assert_eq!(*lock(&seen), [b"-----BEGIN\n\xff\n".to_vec(), b"new\n".to_vec()]);
}

#[tokio::test]
async fn a_provider_exchanges_at_once_and_serves_meanwhile() {
    let (server, clock) = (Server::default(), ManualClock::default());
    server.knows(&["old", "new"]);
    let swap = HotSwap::new(server.source("old"));
    let provider = TokenProvider::builder(swap.clone()).platform(clock.platform()).build().unwrap();
    assert_eq!(provider.token().await.unwrap().secret(), "token-by-old");
    swap.replace(server.source("new"));
    let refresh = provider.refresh_now();
    assert_eq!(provider.token().await.unwrap().secret(), "token-by-old");
    assert_eq!(refresh.await.unwrap().secret(), "token-by-new");
}

/// Lets the tasks run, before and after a time has passed.
async fn pass(clock: &ManualClock, time: Duration) {
    for time in [time, Duration::ZERO] {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        clock.advance(time);
    }
}

#[tokio::test]
async fn a_change_is_exchanged_by_the_task_that_looks() {
    let (server, clock) = (Server::default(), ManualClock::default());
    server.knows(&["old", "new"]);
    let swap = HotSwap::new(server.source("old"));
    let provider = TokenProvider::builder(swap.clone()).platform(clock.platform()).build().unwrap();
    provider.token().await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(provider.refresh_when_changed(Duration::from_secs(10)));
    let tick = async || pass(&clock, Duration::from_secs(10)).await;
    tick().await;
    assert_eq!(server.shown(), ["old"], "nothing has changed");
    swap.replace(server.source("new"));
    tick().await;
    assert_eq!(server.shown(), ["new"]);
    assert_eq!(provider.token().await.unwrap().secret(), "token-by-new");
    drop(provider);
    tick().await;
    assert!(tasks.join_next().await.is_some_and(|result| result.is_ok()), "it ends with its provider");
}

/// An outage lasts from the change until some ticks later.
#[tokio::test]
async fn a_change_that_meets_an_outage_is_exchanged_after_it() {
    let (server, clock) = (Server::default(), ManualClock::default());
    server.knows(&["old", "new"]);
    let swap = HotSwap::new(server.source("old"));
    let provider = TokenProvider::builder(swap.clone()).platform(clock.platform()).build().unwrap();
    provider.token().await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(provider.refresh_when_changed(Duration::from_secs(1)));
    let tick = async || pass(&clock, Duration::from_secs(1)).await;
    server.is_down(true);
    server.shown();
    swap.replace(server.source("new"));
    for _ in 0..120 {
        tick().await;
    }
    let shown = server.shown();
    assert!(
        (2..20).contains(&shown.len()) && shown.iter().all(|secret| secret == "new"),
        "the backoff holds: {shown:?}"
    );
    server.is_down(false);
    for _ in 0..61 {
        tick().await;
    }
    assert_eq!(server.shown(), ["new"]);
    assert_eq!(provider.token().await.unwrap().secret(), "token-by-new");
}

#[tokio::test]
async fn no_secret_is_in_debug_or_identity() {
    let server = Server::default();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "MARKER").unwrap();
    let make = server.clone();
    let swap = HotSwap::following(Value::file(file.path()), move |secret| Ok(make.source(secret))).unwrap();
    fetch(&swap).await.unwrap_err();
    let mut identity = Identity::default();
    TokenSource::identity(&swap, &mut identity);
    assert!(!format!("{swap:?} {identity:?}").contains("MARKER"));
}
