//! The first token of a process over TLS: what is slow about it happens away from the runtime's workers.
//!
//! A process of its own fetches it, because others would have gathered randomness already:
//!
//! ```sh
//! cargo test --release -p tests --test tls cold -- --nocapture
//! ```
#![cfg(target_os = "linux")]

use std::{
    process::{Command, Output},
    time::{Duration, Instant},
};

use bearer_token::{
    TokenProvider,
    jwt::{Algorithm, SigningKey},
    oauth::{ClientAuth, ClientCredentials, TokenEndpoint},
};
use rcgen::KeyPair;
use rustix::time::{ClockId, clock_gettime};
use tests::tls::Ca;

use crate::server::{Flaw, Server};

/// What a poll may take. Without optimization, a handshake takes some milliseconds.
const LONGEST_POLL: Duration =
    if cfg!(debug_assertions) { Duration::from_millis(10) } else { Duration::from_millis(1) };

const URL: &str = "COLD_FETCH_URL";
const KEY: &str = "COLD_FETCH_KEY";
const LONGEST: &str = "longest poll: ";

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn no_poll_of_a_first_fetch_takes_long() {
    let ca = Ca::new("private");
    let server = Server::start(&ca, Flaw::None, false).await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca.pem");
    std::fs::write(&path, ca.pem()).unwrap();
    let key = KeyPair::generate().unwrap().serialize_pem();
    for key in ["", key.as_str()] {
        // The smallest of three, because other programs share the caches and the cores.
        let mut longest = Duration::MAX;
        for _ in 0..3 {
            let output = Command::new(std::env::current_exe().unwrap())
                .args(["cold::first_fetch_of_a_process", "--exact", "--ignored", "--nocapture"])
                .envs([(URL, server.url.as_str()), (KEY, key)])
                .env("SSL_CERT_FILE", &path)
                .output()
                .unwrap();
            let text = text(&output);
            assert!(output.status.success(), "{text}");
            let nanos = text.lines().find_map(|line| line.split_once(LONGEST)).unwrap().1;
            longest = longest.min(Duration::from_nanos(nanos.parse().unwrap()));
            println!("{}", text.lines().find(|line| line.contains(LONGEST)).unwrap());
        }
        assert!(longest < LONGEST_POLL, "{longest:?}");
    }
    assert_eq!(server.take().len(), 6);
}

fn text(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text)).join("\n")
}

/// Fetches a token with the default transport, and prints the longest poll and the whole time.
#[test]
#[ignore = "the other test runs it in a process of its own"]
#[allow(clippy::disallowed_methods, reason = "measures real time")]
fn first_fetch_of_a_process() {
    let url = std::env::var(URL).expect("set by the other test");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let started = Instant::now();
    runtime.block_on(async {
        let auth = match std::env::var(KEY).unwrap().as_str() {
            "" => ClientAuth::basic("id", "secret"),
            pem => {
                let key = SigningKey::from_pem(Algorithm::ES256, pem).unwrap();
                ClientAuth::private_key_jwt("id", key)
            }
        };
        let endpoint = TokenEndpoint::builder(format!("{url}/token"), ClientCredentials::new()).client_auth(auth);
        let provider = TokenProvider::builder(endpoint.build().unwrap()).allow_origin(&url).build().unwrap();
        // Between two turns of this task, all others that are ready are polled once, hyper's among them. Processor
        // time, because other threads may preempt this one.
        let mut token = tokio::spawn(async move { provider.token().await });
        let (mut longest, mut last) = (Duration::ZERO, worked());
        while !token.is_finished() {
            tokio::task::yield_now().await;
            let now = worked();
            longest = longest.max(now - last);
            last = now;
        }
        (&mut token).await.unwrap().unwrap();
        println!("\nfirst token after {:?}, {LONGEST}{}", started.elapsed(), longest.as_nanos());
    });
}

/// The processor time of this thread.
fn worked() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
}
