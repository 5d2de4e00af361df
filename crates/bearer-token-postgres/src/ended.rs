//! Rows that have ended are removed, some at a time.
//!
//! A table of live tokens would grow with each key that was ever used. So saves clean up after a fleet. On average they
//! look at five rows for each that they may add, and one of them at twenty.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use bearer_token::store::Fence;
use tokio::runtime::Handle;

use crate::{connection::Connection, store::PostgresStore};

/// One save in this many removes some.
const SAVES: u64 = 4;
/// A statement that takes longer counts as hanging, and its connection is replaced.
const LIMIT: Duration = Duration::from_secs(2);

/// Whether record, lease and the grant of the last lease are all of more than a day ago. The fence is the time of that
/// grant, and is all that a lease leaves which was released without a save.
pub(crate) const ENDED: &str = "(GREATEST(ends, leased, pg_catalog.to_timestamp(fence::float8 / 1000000::float8)) < clock_timestamp() - interval '1 day')";

/// All at once, and their number.
pub(crate) const REMOVE_ALL: &str = "WITH removed AS (DELETE FROM {table} WHERE {ended} RETURNING 1)
    SELECT count(*) FROM removed";

/// Those of 20 rows in the order of the primary key, from a random one on, around the end. Names of records are hashes,
/// so each row has its turn. A row that another statement has locked is in use, and is left. Statements of the same connection
/// wait for this one, so it reads few rows.
const REMOVE_SOME: &str = "WITH near AS (
        SELECT key FROM (
            (SELECT key FROM {table} WHERE key >= (SELECT pg_catalog.md5(pg_catalog.random()::text)) ORDER BY key LIMIT 20)
            UNION ALL (SELECT key FROM {table} ORDER BY key LIMIT 20)
        ) AS around LIMIT 20
    ), locked AS (
        SELECT key FROM {table} WHERE key IN (SELECT key FROM near) AND {ended} FOR UPDATE SKIP LOCKED
    ) DELETE FROM {table} WHERE key IN (SELECT key FROM locked) AND {ended}";

/// Whether PostgreSQL has refused a removal, because this user may not delete rows.
#[derive(Default)]
pub(crate) struct Forbidden(AtomicBool);

/// Removes some after a save, in a task of its own. Fences are times in microseconds, so their last digits are a fair
/// draw. It needs no number that replicas would have to agree on.
///
/// PostgreSQL logs each refusal, so a user who may not delete rows is told once.
pub(crate) fn remove_some(store: &PostgresStore, fence: Fence) {
    if !fence.get().is_multiple_of(SAVES) || store.removal.0.load(Ordering::Relaxed) {
        return;
    }
    let Ok(runtime) = Handle::try_current() else { return };
    let store = store.clone();
    runtime.spawn(async move {
        let statement = store.named(REMOVE_SOME);
        let removal = store.connection.query(&statement, &[]);
        // Rows that stay cost nothing but their space, and a later save tries again.
        let removed = match &*store.connection {
            #[allow(clippy::disallowed_methods, reason = "the socket is tokio's as well")]
            Connection::Own(_) => tokio::time::timeout(LIMIT, removal).await.unwrap_or(Ok(Vec::new())),
            // The application drives it, maybe on a runtime without timers.
            Connection::Given(_) => removal.await,
        };
        if removed.is_err_and(|lost| lost.is_forbidden) {
            store.removal.0.store(true, Ordering::Relaxed);
        }
    });
}
