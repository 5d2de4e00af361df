//! Several processes on one file.
#![cfg(unix)]

use std::process::{Child, Command, Stdio};

use super::*;

const CHILD: &str = "BEARER_TOKEN_TEST_REFRESH_CHILD";

/// The work of each child process. In this process it does nothing.
#[tokio::test]
async fn child() {
    let Ok(settings) = std::env::var(CHILD) else { return };
    let [url, file, times] = settings.split(' ').collect::<Vec<_>>()[..] else { panic!("{settings}") };
    let source = TokenEndpoint::builder(url, RefreshToken::new(FileStore::new(file)))
        .client_auth(ClientAuth::basic("app", "a secret"))
        .build()
        .unwrap();
    let provider = TokenProvider::builder(source).build().unwrap();
    for _ in 0..times.parse().unwrap() {
        provider.refresh_now().await.unwrap();
    }
}

/// A process that refreshes this often.
fn start(bench: &Bench, times: u32) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "processes::child"])
        .env(CHILD, format!("{} {} {times}", bench.server.token_url(), bench.file().display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn l59_processes_sharing_a_file_never_reuse_a_refresh_token() {
    let bench = Bench::new(RefreshTokens::rotating()).await;
    let children: Vec<_> = (0..3).map(|_| start(&bench, 5)).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    let counts = bench.server.count();
    assert_eq!((counts.tokens_issued, counts.refresh_tokens_issued, counts.refresh_tokens_reused), (15, 16, 0));
    assert_eq!(counts.token_requests_peak, 1, "one after the other");
}

/// Where the server allows a retry of a lost response, a crash at any moment costs nothing.
#[tokio::test]
async fn l27_killed_processes_leave_a_whole_file_and_no_draft() {
    let bench = Bench::new(RefreshTokens::rotating().allow_retry()).await;
    let mut children: Vec<_> = (0..2).map(|_| start(&bench, 100_000)).collect();
    for kill in 0..16_usize {
        // At once after a response has left, when the process is about to save what is in it.
        let issued = bench.server.count().tokens_issued;
        bench.server.wait_for(|counts| counts.tokens_issued > issued + (kill as u64 % 3)).await;
        let mut child = children.swap_remove(kill % children.len());
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        assert_ne!(output.status.code(), Some(101), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(!bench.kept().await.is_empty());
        children.push(start(&bench, 100_000));
    }
    for mut child in children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    bench.provider().token().await.unwrap();
    assert_eq!(bench.server.count().refresh_tokens_reused, 0);
    let names = std::fs::read_dir(bench.directory.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names.collect::<Vec<_>>(), ["refresh.json"]);
}
