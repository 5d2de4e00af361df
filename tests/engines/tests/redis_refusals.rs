//! What a Redis server refuses: the message says what to change, a replica fetches for itself meanwhile, and the replicas
//! share again after the change.

#![allow(clippy::disallowed_methods, reason = "real servers, in real time")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bearer_token::{
    AccessToken, FetchContext, TokenProvider,
    observe::{Event, EventKind, Observer},
    shared::{Fleet, SealingKeys},
    store::{SharedStore, Version},
};
use bearer_token_redis::RedisStore;
use engines::{
    process::free_port,
    records::{LIFE, TTL, key},
    redis_server::RedisServer,
    until,
    world::KEY,
};
use redis::{AsyncConnectionConfig, Client, aio::MultiplexedConnection};

const LIMIT: Duration = Duration::from_secs(20);

/// What `RedisStore::prefix` names: the commands, and the names of records.
const RIGHTS: &str = "ACL SETUSER replica reset on >MARKER-password ~bearer-token:* +evalsha +eval +script|load +time \
                      +hmget +hset +hdel +pexpire";

/// How a server comes to refuse, which words the message has, and what makes it accept again.
struct Refusal {
    /// Commands, in words that are separated by spaces. The last one may take its time.
    begins: &'static [&'static str],
    told: &'static [&'static str],
    ends: &'static [&'static str],
}

const REFUSALS: [Refusal; 13] = [
    Refusal {
        begins: &["CONFIG SET maxmemory 1"],
        told: &["OOM", "`maxmemory`; raise it"],
        ends: &["CONFIG SET maxmemory 0"],
    },
    Refusal {
        begins: &["CONFIG SET save 3600_1", "BGSAVE"],
        told: &["MISCONF", "cannot write to its disk", "`stop-writes-on-bgsave-error`"],
        ends: &["CONFIG SET stop-writes-on-bgsave-error no"],
    },
    Refusal {
        begins: &["DEBUG POPULATE 6000 other 100", "CONFIG SET key-load-delay 1000", "DEBUG RELOAD"],
        told: &["LOADING", "will answer then"],
        ends: &[],
    },
    Refusal {
        begins: &["REPLICAOF 127.0.0.1 1"],
        told: &["READONLY", "connect to the master"],
        ends: &["REPLICAOF NO ONE"],
    },
    Refusal {
        begins: &["CONFIG SET replica-serve-stale-data no", "REPLICAOF 127.0.0.1 1"],
        told: &["MASTERDOWN", "a replica without its master"],
        ends: &["REPLICAOF NO ONE"],
    },
    Refusal {
        begins: &["CONFIG SET min-replicas-to-write 1"],
        told: &["NOREPLICAS", "`min-replicas-to-write`"],
        ends: &["CONFIG SET min-replicas-to-write 0"],
    },
    Refusal {
        begins: &["CONFIG SET busy-reply-threshold 1", "EVAL while_true_do_end 0"],
        told: &["BUSY", "a script of another program"],
        ends: &["SCRIPT KILL"],
    },
    Refusal { begins: &["ACL SETUSER replica -hset"], told: &["`RedisStore::prefix`"], ends: &[RIGHTS] },
    Refusal { begins: &["ACL SETUSER replica -evalsha"], told: &["`RedisStore::prefix`"], ends: &[RIGHTS] },
    Refusal { begins: &["ACL SETUSER replica resetkeys ~other:*"], told: &["`RedisStore::prefix`"], ends: &[RIGHTS] },
    Refusal {
        begins: &["ACL SETUSER replica resetpass >another"],
        told: &["correct the user or the password"],
        ends: &[RIGHTS],
    },
    Refusal { begins: &["CLIENT PAUSE 12000 WRITE"], told: &["gave no answer"], ends: &[] },
    Refusal { begins: &["CLIENT PAUSE 12000 ALL"], told: &["gave no answer"], ends: &[] },
];

/// A connection of the administrator, who waits for long commands.
async fn administrator(server: &RedisServer) -> MultiplexedConnection {
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    let client = Client::open(server.url()).unwrap();
    client.get_multiplexed_async_connection_with_config(&config).await.unwrap()
}

/// Sends a command. Underscores in its words are spaces.
async fn order(mut connection: MultiplexedConnection, words: &str) -> redis::RedisResult<redis::Value> {
    let mut command = redis::Cmd::new();
    for word in words.split_whitespace() {
        command.arg(word.replace('_', " "));
    }
    command.query_async(&mut connection).await
}

/// An error with its causes.
fn full(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// What a replica is told of its store.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<String>>);

impl Observer for Told {
    fn on_event(&self, event: &Event<'_>) {
        if let EventKind::StoreCall { error: Some(error), .. } = &event.kind {
            self.0.lock().unwrap().push_str(&format!("{error:?} {error:#}\n"));
        }
    }
}

/// New replicas of one fleet, and the token requests that they make.
struct Replicas {
    url: String,
    requests: Arc<AtomicUsize>,
}

impl Replicas {
    /// Requests a token as a new replica. Returns what it is told of its store, and the token requests that it makes.
    async fn new_one(&self) -> (String, usize) {
        let (told, before) = (Told::default(), self.requests.load(Ordering::Relaxed));
        let fleet = Fleet::builder(RedisStore::from_url(&self.url).unwrap(), SealingKeys::new(KEY)).build().unwrap();
        let requests = self.requests.clone();
        let source = fleet.share_as("orders", move |_cx: FetchContext| {
            requests.fetch_add(1, Ordering::Relaxed);
            async { Ok(AccessToken::new("MARKER-token").expires_in(LIFE)) }
        });
        let provider = TokenProvider::builder(source).observer(told.clone()).build().unwrap();
        assert_eq!(provider.token().await.unwrap().secret(), "MARKER-token");
        let told = told.0.lock().unwrap().clone();
        (told, self.requests.load(Ordering::Relaxed) - before)
    }

    /// Each fetches for itself, and is told this. None of the words is a secret.
    async fn fetch_alone(&self, words: &[&str]) {
        let mut last = String::new();
        let is_told = async || {
            let lease = RedisStore::from_url(&self.url).unwrap().lease(&key(1), Version::ABSENT, TTL).await;
            let told = lease.err().map(|down| full(&down)).unwrap_or_default();
            if told != last {
                println!("{told}");
            }
            last = told;
            words.iter().all(|word| last.contains(word))
        };
        until(&format!("{words:?}"), LIMIT, is_told).await;
        for _ in 0..2 {
            let (told, requests) = self.new_one().await;
            assert_eq!(requests, 1, "{told}");
            // On a machine that is busy, a call may get no answer within its 95 ms, which are then told.
            let is_late = told.contains("gave no answer within");
            assert!(is_late || words.iter().all(|word| told.contains(word)), "{words:?}: {told}");
            assert!(!told.contains("MARKER"), "{told}");
        }
    }

    /// They share one token.
    async fn share(&self, why: &str) {
        until(why, LIMIT, async || self.new_one().await.1 == 0).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server"]
async fn each_refusal_of_redis_names_what_to_change() {
    for Refusal { begins, told, ends } in REFUSALS {
        // While it reads its data, it answers after each kilobyte, which takes some milliseconds.
        let slow = ["--enable-debug-command", "yes", "--loading-process-events-interval-bytes", "1024"];
        let server = RedisServer::start_with(&[slow.as_slice(), &["--rdbcompression", "no"]].concat()).await;
        // The file that a save is renamed to cannot be replaced, so each save fails.
        std::fs::create_dir_all(server.directory().join("dump.rdb/in the way")).unwrap();
        let admin = administrator(&server).await;
        order(admin.clone(), RIGHTS).await.unwrap();
        let url = format!("redis://replica:MARKER-password@127.0.0.1:{}", server.port());
        let replicas = Replicas { url, requests: Arc::default() };
        if begins.contains(&"DEBUG RELOAD") {
            std::fs::remove_dir_all(server.directory().join("dump.rdb")).unwrap();
        }
        println!("{begins:?}");
        let (last, first) = begins.split_last().unwrap();
        for command in first {
            order(admin.clone(), command).await.unwrap();
        }
        tokio::spawn(order(administrator(&server).await, last));
        replicas.fetch_alone(told).await;
        for command in ends {
            order(admin.clone(), command).await.unwrap();
        }
        replicas.share(&format!("they share again after {begins:?}")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server"]
async fn a_server_that_wants_a_password_says_so() {
    let server = RedisServer::start().await;
    let admin = administrator(&server).await;
    order(admin.clone(), "CONFIG SET requirepass MARKER-password").await.unwrap();
    let replicas = Replicas { url: server.url(), requests: Arc::default() };
    replicas.fetch_alone(&["NOAUTH", "correct the user or the password"]).await;
    let url = format!("redis://:MARKER-password@127.0.0.1:{}", server.port());
    Replicas { url, ..replicas }.share("with the password").await;
}

/// The other advice for a memory that is full.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server"]
async fn with_volatile_ttl_a_full_memory_makes_room() {
    let server = RedisServer::start().await;
    let admin = administrator(&server).await;
    let replicas = Replicas { url: server.url(), requests: Arc::default() };
    order(admin.clone(), "CONFIG SET maxmemory 10mb").await.unwrap();
    // A script that has begun to write is not stopped.
    let mut is_full = false;
    for number in 0..100 {
        let fill = format!("for i=1,1000 do redis.call('SETEX','{number}:'..i,600,string.rep('x',200)) end");
        is_full |= order(admin.clone(), &format!("EVAL {} 0", fill.replace(' ', "_"))).await.is_err();
    }
    assert!(is_full);
    replicas.fetch_alone(&["OOM", "`maxmemory-policy` to `volatile-ttl`"]).await;
    order(admin, "CONFIG SET maxmemory-policy volatile-ttl").await.unwrap();
    replicas.share("they share while others make room").await;
}

/// A server that is gone is no refusal; it is here for the table to be whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server"]
async fn a_port_without_a_server_is_told_as_refused() {
    let url = format!("redis://:MARKER-password@127.0.0.1:{}", free_port());
    Replicas { url, requests: Arc::default() }.fetch_alone(&["refused"]).await;
}
