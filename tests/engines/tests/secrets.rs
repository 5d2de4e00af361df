//! What is in the stores, their files, their logs and their commands: none of the secrets, and nothing of whose they are.

#![allow(clippy::disallowed_methods, reason = "real servers, in real time")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use bearer_token_redis::RedisStore;
use engines::{
    markers::{CONTROL, Markers, files, found},
    monitor::Monitor,
    postgres_server::PostgresServer,
    redis_server::RedisServer,
    until,
};

/// All strings of a reply, one after another. Its `Debug` shows those that are no UTF-8 as numbers.
fn bytes(reply: &redis::Value) -> Vec<u8> {
    match reply {
        redis::Value::Array(values) => values.iter().flat_map(bytes).collect(),
        redis::Value::BulkString(string) => string.clone(),
        redis::Value::SimpleString(string) => string.clone().into_bytes(),
        _ => Vec::new(),
    }
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn planted_markers_are_in_no_dump_of_redis() {
    // A compressed dump would hide them. Every command is a slow one, and shown.
    let settings = ["--appendonly", "yes", "--rdbcompression", "no", "--loglevel", "debug"];
    let slow = ["--slowlog-log-slower-than", "0", "--slowlog-max-len", "10000"];
    let redis = RedisServer::start_with(&[settings.as_slice(), &slow].concat()).await;
    let monitor = Monitor::start(redis.port()).await;
    let mut markers = Markers::new(RedisStore::from_url(redis.url()).unwrap());
    markers.share_access_tokens().await;
    // Redis may lose its last writes, so it keeps refresh tokens only if the server accepts them twice.
    markers.share_refresh_tokens(Some(Duration::from_secs(60))).await;

    redis.command::<String>(&["SET", "control", CONTROL]).await.unwrap();
    redis.command::<String>(&["SAVE"]).await.unwrap();
    let keys = redis.command::<Vec<String>>(&["KEYS", "*"]).await.unwrap();
    assert_eq!(keys.len(), 4, "a record for each client, and the control: {keys:?}");
    let mut dump = Vec::new();
    for key in keys {
        dump.extend(redis.command::<Vec<u8>>(&["DUMP", &key]).await.unwrap());
        dump.extend(key.into_bytes());
    }
    let rdb = std::fs::read(redis.directory().join("dump.rdb")).unwrap();
    let slowlog = redis.command::<redis::Value>(&["SLOWLOG", "GET", "-1"]).await.unwrap();
    let (control, mut disk) = ([CONTROL.as_bytes().to_vec()], Vec::new());
    until("the control is on the disk and monitored", Duration::from_secs(10), async || {
        disk = files(redis.directory());
        // In the append-only file too, beside the dump.
        disk.windows(CONTROL.len()).filter(|window| *window == CONTROL.as_bytes()).count() > 1
            && !found(&monitor.seen(), &control).is_empty()
    })
    .await;
    let places = [
        ("DUMP", dump),
        ("the RDB file", rdb),
        ("the append-only file and the log", disk),
        ("SLOWLOG", bytes(&slowlog)),
        ("MONITOR", monitor.seen()),
    ];
    markers.are_in_none_of(&places, "bearer-token:");
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn planted_markers_are_in_no_dump_of_postgresql() {
    let settings = ["log_min_messages=debug1", "log_min_error_statement=debug1", "log_min_duration_statement=0"];
    let parameters = ["log_parameter_max_length=-1", "log_parameter_max_length_on_error=-1", "log_connections=on"];
    let settings = [settings, parameters].concat();
    let server = PostgresServer::start_with(|_| settings.iter().map(ToString::to_string).collect()).await;
    server.store().create_table().await.unwrap();
    let mut markers = Markers::new(server.store());
    markers.share_access_tokens().await;
    markers.share_refresh_tokens(None).await;
    assert_eq!(server.query("SELECT count(*) FROM bearer_token WHERE record IS NOT NULL"), "3");
    // A statement that fails is in the log, with the row that it would have written.
    server.query("ALTER TABLE bearer_token ADD CHECK (record IS NULL) NOT VALID");
    markers.fetch_unsaved().await;

    server.query(&format!("CREATE TABLE control AS SELECT '{CONTROL}' AS value"));
    server.query("CHECKPOINT");
    let rows = server.query("SELECT * FROM bearer_token FULL JOIN control ON false");
    let name = server.query("SELECT min(key) FROM bearer_token");
    let log = std::fs::read(server.log()).unwrap();
    assert!(!found(&log, &[b"Failing row contains".to_vec()]).is_empty(), "the statement failed, and was logged");
    let wal = files(&server.data().join("pg_wal"));
    let places = [
        ("pg_dump", server.dump()),
        ("the rows", rows.into_bytes()),
        ("the log", log),
        ("the write-ahead log", wal),
        ("the files of the tables", files(&server.data().join("base"))),
    ];
    markers.are_in_none_of(&places, &name);
}
