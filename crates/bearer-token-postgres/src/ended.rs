//! Rows that have ended are removed, some at a time.
//!
//! A table of live tokens would grow with each key that was ever used. So saves clean up after a fleet: each removes
//! more than it may add, and none reads more than a few pages.

use std::time::Duration;

use bearer_token::store::Fence;
use tokio::runtime::Handle;

use crate::store::PostgresStore;

/// One save in this many removes some.
const SAVES: u64 = 16;
/// The time for it. After that, its connection hangs, and is replaced.
const LIMIT: Duration = Duration::from_secs(2);

/// Whether a row ended more than a day ago: its record, its lease, and the time of its last lease, which is its fence.
/// A lease that was released without a save leaves nothing else.
pub(crate) const ENDED: &str = "(GREATEST(ends, leased, pg_catalog.to_timestamp(fence::float8 / 1000000::float8)) < clock_timestamp() - interval '1 day')";

/// All at once, and their number.
pub(crate) const REMOVE_ALL: &str = "WITH removed AS (DELETE FROM {table} WHERE {ended} RETURNING 1)
    SELECT count(*) FROM removed";

/// Those of 100 rows in the order of the primary key, from a random one on, around the end. Names of records are hashes,
/// so each row has its turn. A row that another statement has locked is in use, and is left.
const REMOVE_SOME: &str = "WITH near AS (
        SELECT key FROM (
            (SELECT key FROM {table} WHERE key >= (SELECT pg_catalog.md5(pg_catalog.random()::text)) ORDER BY key LIMIT 100)
            UNION ALL (SELECT key FROM {table} ORDER BY key LIMIT 100)
        ) AS around LIMIT 100
    ), locked AS (
        SELECT key FROM {table} WHERE key IN (SELECT key FROM near) AND {ended} FOR UPDATE SKIP LOCKED
    ) DELETE FROM {table} WHERE key IN (SELECT key FROM locked) AND {ended}";

/// Removes some after a save, in a task of its own. Fences are times in microseconds, so their last digits are a fair
/// draw. It needs no number that replicas would have to agree on.
pub(crate) fn remove_some(store: &PostgresStore, fence: Fence) {
    if !fence.get().is_multiple_of(SAVES) {
        return;
    }
    let Ok(runtime) = Handle::try_current() else { return };
    let store = store.clone();
    runtime.spawn(async move {
        #[allow(clippy::disallowed_methods, reason = "the socket is tokio's as well")]
        // Rows that stay cost nothing but their space, and a later save tries again.
        let _ = tokio::time::timeout(LIMIT, store.query(REMOVE_SOME, &[])).await;
    });
}
