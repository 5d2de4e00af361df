//! The store.

use std::{fmt, future::Future, ops::Deref, sync::Arc, time::Duration};

use bearer_token::{
    Error, ErrorKind, Retry,
    store::{Down, Fence, Leased, Order, Saved, SharedStore, Snapshot, StoreKey, Version},
};
use tokio_postgres::{
    Client, Config, NoTls, Row, Socket,
    config::{SslMode, TargetSessionAttrs},
    tls::{MakeTlsConnect, TlsConnect},
    types::{FromSql, Type},
};

use crate::{
    connection::{Arguments, Connection},
    durability::{self, Accepted},
    ended::{self, Forbidden},
    refusal::Lost,
    tls,
};

/// A hundred years, because a timestamp of PostgreSQL is limited.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Keeps records in a table of PostgreSQL. Clones share it, with its one connection for each tokio runtime, over which
/// many calls are sent at a time. It may also use [clients of the application](Self::with_clients).
///
/// Every step is one statement on one row. What the database has acknowledged it has, after a crash too:
/// [`Order::Linearizable`]. So it may keep rotating refresh tokens. Some settings of the database break that. These are
/// noticed with each statement, and then the store counts as down:
///
/// - `synchronous_commit = off` may lose commits in a crash, and `local` those that a standby does not have yet.
/// - `fsync = off` may lose everything in a crash of the host, and an unlogged table is empty after one. Both are
///   accepted from a [`test_server`](Self::test_server).
/// - `full_page_writes = off` may damage the table in a crash of the host, unless its file system writes
///   [whole pages](Self::whole_pages).
///
/// The promotion of a standby is not noticed. A promoted standby has only what was replicated to it before. If a standby
/// may be promoted, set `synchronous_standby_names`, so commits wait for that standby, and call
/// [`synchronous_standby`](Self::synchronous_standby), so a server without it counts as down.
///
/// All times are the database's clock. Statements are not prepared, so a pooler in between (PgBouncer) may pool
/// transactions. The records are sealed before they come here, and their names are a keyed hash.
///
/// # The table
///
/// [`create_table`](Self::create_table) creates it, if you do not do so in a migration:
///
/// ```sql
/// CREATE TABLE IF NOT EXISTS bearer_token (
///     key     text PRIMARY KEY,
///     record  bytea,
///     version bigint NOT NULL DEFAULT 0,
///     ends    timestamptz,
///     fence   bigint NOT NULL DEFAULT 0,
///     leased  timestamptz
/// )
/// ```
///
/// A row whose record and lease ended more than a day ago is removed by itself. One save in four looks at 20 rows, from
/// a random one on, and removes those that have ended. On average that is five rows for each save of the fleet, however
/// many replicas there are. It is done after the save, in one statement. If the user may not delete rows, they stay.
/// [`remove_ended`](Self::remove_ended) removes all of them at once. A refresh token is kept for ten years from its last
/// use.
#[derive(Clone)]
pub struct PostgresStore {
    pub(crate) connection: Arc<Connection>,
    table: Arc<str>,
    accepted: Accepted,
    pub(crate) removal: Arc<Forbidden>,
}

impl PostgresStore {
    /// Keeps the records in the database with this URL: `postgres://user:password@host:port/database`. Nothing is sent
    /// yet.
    ///
    /// `?sslmode=require` asks for TLS, which needs the feature `tls`. The certificate is always verified, with the CAs
    /// of the system or of the file in the variable `SSL_CERT_FILE`. Without `sslmode`, connections are made without
    /// TLS.
    ///
    /// # Errors
    ///
    /// Fails with kind [`Config`](ErrorKind::Config) if it is not such a URL, or TLS cannot be used. The error does not
    /// repeat the URL, because it may contain a password.
    pub fn from_url(url: impl AsRef<str>) -> Result<Self, Error> {
        let config = url.as_ref().parse::<Config>().map_err(|_| {
            unusable(
                "the URL of PostgreSQL is unusable; expected `postgres://user:password@host:port/database`, with \
                 `?sslmode=require` for TLS",
            )
        })?;
        match config.get_ssl_mode() {
            SslMode::Require => tls::store(config),
            _ => Ok(PostgresStore::new(config, NoTls)),
        }
    }

    /// Keeps the records in this database, with connections by this TLS library, such as `tokio-postgres-rustls`.
    ///
    /// The connection goes to a server that accepts writes, if `config` names several. Without a connection timeout in
    /// `config`, it is two seconds. TLS and the login may take as long again. Without settings of its own, `config` gets TCP
    /// keepalive after 15 s, and a limit of 30 s for what the host does not confirm.
    pub fn new<T>(mut config: Config, tls: T) -> Self
    where
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::Stream: Send + 'static,
        T::TlsConnect: Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        PostgresStore::over(Connection::new(config, tls))
    }

    /// Keeps the records in the database of the application's own clients: `get` is called for each statement.
    ///
    /// It returns one client that all share, or one from a pool. The application connects, and drives the connections.
    /// If a call times out (after 95 ms; 2 s for a refresh token), its statement goes on running in the client.
    ///
    /// ```
    /// # async fn example(client: tokio_postgres::Client) {
    /// use std::sync::Arc;
    /// use bearer_token_postgres::PostgresStore;
    ///
    /// let client = Arc::new(client);
    /// let store = PostgresStore::with_clients(move || {
    ///     let client = Arc::clone(&client);
    ///     async move { Ok(client) }
    /// });
    /// # let _ = store; }
    /// ```
    pub fn with_clients<C, F>(get: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        C: Deref<Target = Client> + Send + Sync + 'static,
        F: Future<Output = Result<C, Down>> + Send + 'static,
    {
        PostgresStore::over(Connection::given(get))
    }

    fn over(connection: Connection) -> Self {
        PostgresStore {
            connection: Arc::new(connection),
            table: "bearer_token".into(),
            accepted: Accepted::default(),
            removal: Arc::default(),
        }
    }

    /// Accepts a server that loses what it has acknowledged when its host crashes: with `fsync` or `full_page_writes`
    /// off, or an unlogged table.
    ///
    /// After such a crash, a rotating refresh token may be spent twice, which ends its consent. So this is for tests, and
    /// for a table that has access tokens only.
    #[must_use]
    pub fn test_server(mut self) -> Self {
        self.accepted.test_server = true;
        self
    }

    /// Accepts `full_page_writes = off`, because the file system of the server never writes a part of a page, as ZFS
    /// does not.
    #[must_use]
    pub fn whole_pages(mut self) -> Self {
        self.accepted.whole_pages = true;
        self
    }

    /// Refuses a server whose commits wait for no standby, because `synchronous_standby_names` is empty, or not until it
    /// has flushed them (`synchronous_commit = remote_write`).
    ///
    /// A standby that is promoted without the latest commits has an older refresh token, which would be spent twice. The
    /// setting has to name every standby that may be promoted, as in `ANY 1 (a, b)` if the one with the latest commits
    /// is chosen, or `2 (a, b)` if either may be. A promoted standby needs the setting itself, or it counts as down
    /// until it has it.
    ///
    /// If an administrator cancels the wait of a commit (`pg_cancel_backend`), PostgreSQL acknowledges the commit with a
    /// warning. A store with its own connections gives no result then. [Clients of the application](Self::with_clients)
    /// do not tell the store of warnings.
    #[must_use]
    pub fn synchronous_standby(mut self) -> Self {
        self.accepted.only_with_standby = true;
        self
    }

    /// Replaces the name of the table, `bearer_token`. It may have a schema before it, as in `auth.tokens`.
    ///
    /// # Errors
    ///
    /// Fails with kind [`Config`](ErrorKind::Config) if a part of the name is not a lower-case identifier.
    pub fn table(self, name: impl AsRef<str>) -> Result<Self, Error> {
        let name = name.as_ref();
        let is_identifier = |part: &str| {
            let begins = part.starts_with(|first: char| first.is_ascii_lowercase() || first == '_');
            begins && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        };
        if !name.split('.').all(is_identifier) || name.split('.').count() > 2 {
            let message =
                format!("the table's name `{name}` is unusable; expected `table` or `schema.table`, in lower case");
            return Err(Error::new(ErrorKind::Config, message).with_retry(Retry::AfterChange));
        }
        Ok(PostgresStore { table: name.into(), ..self })
    }

    /// Creates the table, if it does not exist.
    ///
    /// # Errors
    ///
    /// Fails if the database gives no answer, or does not let this user create a table in this schema.
    pub async fn create_table(&self) -> Result<(), Down> {
        let statement = "CREATE TABLE IF NOT EXISTS {table} (
            key     text PRIMARY KEY,
            record  bytea,
            version bigint NOT NULL DEFAULT 0,
            ends    timestamptz,
            fence   bigint NOT NULL DEFAULT 0,
            leased  timestamptz
        )";
        // Two replicas that create it at a time are in each other's way, once.
        let statement = self.named(statement);
        let mut created = self.connection.query(&statement, &[]).await;
        if created.is_err() {
            created = self.connection.query(&statement, &[]).await;
        }
        created.map(drop).map_err(|lost| match lost.is_forbidden {
            true => Down::new(
                "PostgreSQL does not let this user create the table (SQLSTATE 42501): grant it CREATE on the schema, or \
                 create the table in a migration",
            ),
            false => lost.down,
        })
    }

    /// Removes all rows whose record and lease ended more than a day ago. Returns how many there were.
    ///
    /// It reads the whole table. There is no need to call it: saves remove such rows, some at a time.
    ///
    /// # Errors
    ///
    /// Fails if the database gives no answer.
    pub async fn remove_ended(&self) -> Result<u64, Down> {
        let rows = self.query(ended::REMOVE_ALL, &[]).await?;
        rows.first().map_or(Ok(0), |row| number(row, 0))
    }

    pub(crate) async fn query(&self, statement: &str, arguments: Arguments<'_>) -> Result<Vec<Row>, Down> {
        self.connection.query(&self.named(statement), arguments).await.map_err(|lost| lost.down)
    }

    /// The first row, if the database keeps what it acknowledges.
    fn durable<'a>(&self, rows: &'a [Row]) -> Result<Option<&'a Row>, Down> {
        let Some(row) = rows.first() else { return Ok(None) };
        durability::check(column(row, 0)?, self.accepted)?;
        Ok(Some(row))
    }

    pub(crate) fn named(&self, statement: &str) -> String {
        let statement = statement.replace("{settings}", durability::SETTINGS).replace("{ended}", ended::ENDED);
        statement.replace("{table}", &self.table)
    }

    /// The row as it is now, to explain why a statement changed nothing.
    async fn row(&self, key: &StoreKey) -> Result<Found, Down> {
        let statement = self.named(
            "SELECT ({settings}), fence,
                CASE WHEN pg_catalog.octet_length(record) <= 65536 THEN record END, version,
                (pg_catalog.date_part('epoch', ends - clock_timestamp()) * 1000000::float8)::bigint,
                (pg_catalog.date_part('epoch', leased - clock_timestamp()) * 1000000::float8)::bigint,
                pg_catalog.octet_length(record) > 65536
            FROM (SELECT 1) AS one LEFT JOIN {table} AS row ON key = $1",
        );
        let arguments: Arguments<'_> = &[(&key.as_str(), Type::TEXT)];
        let rows = match self.connection.query(&statement, arguments).await {
            // The connection had been idle, and the server has closed it.
            Err(Lost { was_closed: true, .. }) => self.query(&statement, arguments).await?,
            rows => rows.map_err(|lost| lost.down)?,
        };
        let Some(row) = self.durable(&rows)? else { return Ok(Found::default()) };
        let Some(fence) = column::<Option<i64>>(row, 1)? else { return Ok(Found::default()) };
        let time = |index| {
            let micros = column::<Option<i64>>(row, index)?;
            Ok(Duration::from_micros(micros.and_then(|micros| u64::try_from(micros).ok()).unwrap_or(0)))
        };
        let life: Duration = time(4)?;
        if column::<Option<bool>>(row, 6)? == Some(true) && !life.is_zero() {
            // It never leaves the server.
            let message = format!(
                "PostgreSQL has a record that is larger than 64 KiB; delete the row of {} whose key is {key}",
                self.table
            );
            return Err(Down::new(message).for_this_key());
        }
        let record = column::<Option<Vec<u8>>>(row, 2)?.filter(|_| !life.is_zero());
        let version = Version::new(number(row, 3)?);
        let snapshot = record.map(|record| Snapshot::new(record, version, life));
        Ok(Found { fence: fence.cast_unsigned(), snapshot, leased: time(5)? })
    }
}

/// The error of a URL.
pub(crate) fn unusable(message: &'static str) -> Error {
    Error::new(ErrorKind::Config, message).with_retry(Retry::AfterChange)
}

#[derive(Default)]
struct Found {
    fence: u64,
    snapshot: Option<Snapshot>,
    leased: Duration,
}

impl SharedStore for PostgresStore {
    const ORDER: Order = Order::Linearizable;

    async fn read(&self, key: &StoreKey) -> Result<Option<Snapshot>, Down> {
        Ok(self.row(key).await?.snapshot)
    }

    async fn lease(&self, key: &StoreKey, seen: Version, ttl: Duration) -> Result<Leased, Down> {
        // A fence is the time in microseconds, or the next number if that is greater. So it grows even if the row was
        // lost. All operators fit their arguments exactly: otherwise one in another schema might fit better.
        let statement = "INSERT INTO {table} AS row (key, fence, leased) VALUES (
                $1,
                (pg_catalog.date_part('epoch', clock_timestamp()) * 1000000::float8)::bigint,
                clock_timestamp() + $3::float8 * interval '1 microsecond'
            )
            ON CONFLICT (key) DO UPDATE SET
                fence = GREATEST(
                    row.fence + 1, (pg_catalog.date_part('epoch', clock_timestamp()) * 1000000::float8)::bigint
                ),
                leased = clock_timestamp() + $3::float8 * interval '1 microsecond'
            WHERE COALESCE(row.leased <= clock_timestamp(), true)
                AND (row.record IS NULL OR row.ends <= clock_timestamp() OR row.version = $2)
            RETURNING ({settings}), fence";
        let (seen_version, ttl) = (signed(seen.get()), micros(ttl));
        let arguments: Arguments<'_> = &[(&key.as_str(), Type::TEXT), (&seen_version, Type::INT8), (&ttl, Type::INT8)];
        let rows = self.query(statement, arguments).await?;
        match self.durable(&rows) {
            Ok(Some(row)) => return Ok(Leased::Granted(Fence::new(number(row, 1)?))),
            Ok(None) => {}
            Err(down) => {
                // The row has the lease, and nobody would hold it. Other connections may have sound settings.
                if let Some(row) = rows.first() {
                    let _ = self.release(key, Fence::new(number(row, 1)?)).await;
                }
                return Err(down);
            }
        }
        let found = self.row(key).await?;
        match found.snapshot.filter(|snapshot| snapshot.version != seen) {
            Some(newer) => Ok(Leased::Newer(newer)),
            None => Ok(Leased::Held(found.leased)),
        }
    }

    async fn save(
        &self,
        key: &StoreKey,
        record: &[u8],
        life: Duration,
        fence: Fence,
        seen: Version,
    ) -> Result<Saved, Down> {
        // With settings that may lose the write, it must not be done: other replicas would take it for saved.
        let statement = "UPDATE {table} AS row SET
                record = $2, version = $3, ends = clock_timestamp() + $5::float8 * interval '1 microsecond', leased = NULL
            WHERE key = $1 AND fence = $3
                AND (record IS NULL OR ends <= clock_timestamp() OR version = $4)
                AND ({settings}) = ANY ($6)
            RETURNING ({settings})";
        let (version, seen_version, life) = (signed(fence.get()), signed(seen.get()), micros(life));
        let accepted = durability::accepted(self.accepted);
        let arguments: Arguments<'_> = &[
            (&key.as_str(), Type::TEXT),
            (&record, Type::BYTEA),
            (&version, Type::INT8),
            (&seen_version, Type::INT8),
            (&life, Type::INT8),
            (&accepted, Type::TEXT_ARRAY),
        ];
        if self.durable(&self.query(statement, arguments).await?)?.is_some() {
            ended::remove_some(self, fence);
            return Ok(Saved::Saved(Version::new(fence.get())));
        }
        // It refuses such settings as well, and says which.
        let found = self.row(key).await?;
        match found.snapshot {
            _ if found.fence != fence.get() => Ok(Saved::Fenced),
            Some(changed) if changed.version != seen => Ok(Saved::Changed(changed)),
            _ => Err(Down::new(
                "PostgreSQL has sessions with different settings, some of which may lose tokens: give all sessions of a pooler \
                 the same user and database",
            )),
        }
    }

    async fn release(&self, key: &StoreKey, fence: Fence) -> Result<(), Down> {
        let statement = "UPDATE {table} SET leased = NULL WHERE key = $1 AND fence = $2";
        let fence = signed(fence.get());
        self.query(statement, &[(&key.as_str(), Type::TEXT), (&fence, Type::INT8)]).await.map(drop)
    }
}

/// Shows neither the connection nor a record.
impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").field("table", &self.table).finish_non_exhaustive()
    }
}

fn column<'a, T: FromSql<'a>>(row: &'a Row, index: usize) -> Result<T, Down> {
    row.try_get(index).map_err(|_| Down::new("the table has columns of other types than `PostgresStore` expects"))
}

fn number(row: &Row, index: usize) -> Result<u64, Down> {
    Ok(column::<i64>(row, index)?.cast_unsigned())
}

fn signed(number: u64) -> i64 {
    number.cast_signed()
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.min(LONGEST).as_micros()).unwrap_or(i64::MAX)
}
