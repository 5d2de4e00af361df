//! A replica that is stopped while it holds the lease, on Redis.

#![allow(clippy::disallowed_methods, reason = "real processes, in real time")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use engines::{fleet::Worker, job::Store, monitor::Monitor, redis_server::RedisServer, until, world::World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server"]
async fn l61_the_save_of_a_holder_that_was_stopped_is_fenced() {
    let (redis, world) = (RedisServer::start().await, World::new(Duration::from_secs(600)));
    let (server, job) = (&world.server, world.job(Store::Redis { url: redis.url() }));
    let limit = Duration::from_secs(30);
    let field = async |name: &str| {
        let keys: Vec<String> = redis.command(&["KEYS", "*"]).await.unwrap();
        assert_eq!(keys.len(), 1, "{keys:?}");
        redis.command::<Option<String>>(&["HGET", &keys[0], name]).await.unwrap()
    };

    // The server holds its response while the holder is stopped.
    let gate = server.token_endpoint().hold();
    let holder = Worker::start(&job);
    until("the holder's request arrives", limit, async || server.count().token_requests == 1).await;
    holder.pause();
    gate.release();
    let stopped = field("fence").await.unwrap();
    // Its lease ends, and another replica takes over.
    let other = Worker::start(&job);
    until("another replica has a token", limit, async || other.is_ready()).await;
    let (fence, version) = (field("fence").await.unwrap(), field("version").await);
    assert!(stopped.parse::<u64>().unwrap() < fence.parse().unwrap(), "{stopped} {fence}");
    assert_eq!(version.as_ref(), Some(&fence), "the other replica saved under its fence");

    let monitor = Monitor::start(redis.port()).await;
    holder.resume();
    until("the holder has a token", limit, async || holder.is_ready()).await;
    let seen = String::from_utf8_lossy(&monitor.seen()).into_owned();
    let saves = seen.lines().filter(|line| line.contains("EVALSHA") && line.contains(&format!("\"{stopped}\"")));
    assert!(saves.count() >= 1, "the holder tried to save under its old fence:\n{seen}");
    assert_eq!((field("fence").await, field("version").await), (Some(fence), version), "the save was refused");
    assert_eq!(server.count().token_requests, 2);
    let (holder, other) = (holder.stop(), other.stop());
    assert_eq!((holder.failed, holder.refused, other.failed, other.refused), (0, 0, 0, 0), "{holder:?} {other:?}");
}
