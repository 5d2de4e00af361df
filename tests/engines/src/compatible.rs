//! Servers that speak the protocol of Redis, by their programs.

use std::{path::PathBuf, time::Duration};

use crate::{fleet::Workers, job::Store, process::find, redis_server::RedisServer, until, world::World};

/// Starts the program that this variable names, or else the one with this name in `PATH`.
///
/// `says` is in what the server says about itself, since the wrong program would show nothing.
pub async fn start(variable: &str, name: Option<&str>, says: &str) -> RedisServer {
    let program = std::env::var_os(variable).map(PathBuf::from).or_else(|| find(name?, &[]));
    let program = program.unwrap_or_else(|| panic!("name the server's program in {variable}"));
    let server = RedisServer::start_program(program, &[]).await;
    let info: String = server.command(&["INFO", "server"]).await.unwrap();
    assert!(info.contains(says), "{variable}: expected {says}, found {info}");
    server
}

/// Ten processes share tokens of 4 s, also after the server was killed and started empty.
pub async fn ten_processes_share_a_token(mut engine: RedisServer) {
    let world = World::new(Duration::from_secs(4));
    let job = world.job(Store::Redis { url: engine.url() });
    let workers = Workers::start(10, |_| job.clone()).await;
    // On a machine that is busy, a call may get no answer in time. Then that replica fetches for itself.
    let costs = |tokens: u64| {
        let (issued, tally) = (world.server.count().tokens_issued, workers.tally());
        assert!(tally.needless == 0 && tally.alone <= tally.unanswered, "{tally:?}");
        let explained = tally.alone + tally.unsaved;
        assert!((tokens..=tokens + explained).contains(&issued), "{issued} tokens, expected {tokens}: {tally:?}");
    };
    let shares = async |tokens: u64| {
        until("another token for all", Duration::from_secs(60), async || workers.tally().shared >= tokens).await;
        // Its request has arrived.
        tokio::time::sleep(Duration::from_millis(300)).await;
    };
    costs(1);
    for number in 2..=3 {
        shares(number).await;
        costs(number);
    }
    // Scripts are sent again to a server that has lost everything.
    engine.restart().await;
    shares(4).await;
    let report = workers.stop();
    assert_eq!((report.failed, report.refused), (0, 0), "{report:?}");
}
