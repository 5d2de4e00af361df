//! Several processes on one file.
#![cfg(unix)]

use std::process::{Command, Stdio};

use super::*;

const CHILD: &str = "BEARER_TOKEN_TEST_REFRESH_CHILD";

/// The work of each child process. In this process it does nothing.
#[tokio::test]
async fn child() {
    let Ok(settings) = std::env::var(CHILD) else { return };
    let (url, file) = settings.split_once(' ').unwrap();
    let source = TokenEndpoint::builder(url, RefreshToken::new(FileStore::new(file)))
        .client_auth(ClientAuth::basic("app", "a secret"))
        .build()
        .unwrap();
    let provider = TokenProvider::builder(source).build().unwrap();
    for _ in 0..5 {
        provider.refresh_now().await.unwrap();
    }
}

#[tokio::test]
async fn processes_sharing_a_file_never_reuse_a_refresh_token() {
    let bench = Bench::new(RefreshTokens::rotating()).await;
    let start = || {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "processes::child"])
            .env(CHILD, format!("{} {}", bench.server.token_url(), bench.file().display()))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let children: Vec<_> = (0..3).map(|_| start()).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    let counts = bench.server.count();
    assert_eq!((counts.tokens_issued, counts.refresh_tokens_issued, counts.refresh_tokens_reused), (15, 16, 0));
    assert_eq!(counts.token_requests_peak, 1, "one after the other");
}
