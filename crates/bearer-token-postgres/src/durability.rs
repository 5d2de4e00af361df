//! Whether the database keeps what it acknowledges.

use bearer_token::store::Down;

/// What the application accepts although a crash of the host may lose writes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Accepted {
    pub(crate) test_server: bool,
    pub(crate) whole_pages: bool,
}

/// A query beside `row`, a row of `{table}` or nothing: the settings as words, and the letter for how the
/// table is kept.
///
/// Every result has it, because a pooler may use a connection with other settings each time. A partition says it for
/// itself.
pub(crate) const SETTINGS: &str =
    "SELECT concat_ws(' ', current_setting('synchronous_commit'), current_setting('fsync'),
    current_setting('full_page_writes'),
    (SELECT relpersistence FROM pg_class WHERE oid = COALESCE(row.tableoid, '{table}'::regclass)))";

/// Refuses settings with which an acknowledged write may be lost. They are the value of [`SETTINGS`].
pub(crate) fn check(settings: &str, accepted: Accepted) -> Result<(), Down> {
    let mut words = settings.split(' ');
    let [commit, fsync, full_pages, kept] = [(); 4].map(|()| words.next().unwrap_or_default());
    match commit {
        "off" => {
            return Err(Down::new(
                "PostgreSQL acknowledges commits before they are durable, so a crash may lose tokens: set \
                 `synchronous_commit` to `on` for this user or database",
            ));
        }
        "local" => {
            return Err(Down::new(
                "PostgreSQL acknowledges commits before a synchronous standby has them, so a failover may lose tokens: set \
                 `synchronous_commit` to `on` for this user or database",
            ));
        }
        _ => {}
    }
    if kept == "t" {
        return Err(Down::new(
            "the table is temporary, so no other connection has it, and it hides any other of this name: drop it",
        ));
    }
    if accepted.test_server {
        return Ok(());
    }
    if fsync == "off" {
        return Err(Down::new(
            "PostgreSQL does not wait for its disk, so a crash of its host may lose tokens: set `fsync` to `on`, or \
             `test_server` if that may happen",
        ));
    }
    if full_pages == "off" && !accepted.whole_pages {
        return Err(Down::new(
            "PostgreSQL cannot repair pages that were written in part, so a crash of its host may lose tokens: set \
             `full_page_writes` to `on`, or `whole_pages` if its file system writes whole pages only",
        ));
    }
    if kept == "u" {
        return Err(Down::new(
            "the table is unlogged, so PostgreSQL empties it after a crash: use `ALTER TABLE .. SET LOGGED`, \
             or set `test_server` if that may happen",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Accepted = Accepted { test_server: false, whole_pages: false };
    const TEST_SERVER: Accepted = Accepted { test_server: true, whole_pages: false };
    const WHOLE_PAGES: Accepted = Accepted { test_server: false, whole_pages: true };

    #[test]
    fn a_setting_that_may_lose_writes_is_named() {
        let table = [
            ("on on on p", NOTHING, None),
            ("remote_apply on on p", NOTHING, None),
            ("off on on p", TEST_SERVER, Some("synchronous_commit")),
            ("local on on p", TEST_SERVER, Some("synchronous_commit")),
            ("on off on p", NOTHING, Some("fsync")),
            ("on off on p", WHOLE_PAGES, Some("fsync")),
            ("on off off u", TEST_SERVER, None),
            ("on on off p", NOTHING, Some("full_page_writes")),
            ("on on off p", WHOLE_PAGES, None),
            ("on on on u", WHOLE_PAGES, Some("SET LOGGED")),
            ("on on on t", TEST_SERVER, Some("temporary")),
        ];
        for (settings, accepted, named) in table {
            let found = check(settings, accepted).err().map(|down| down.to_string());
            let is_right =
                found.as_ref().map_or(named.is_none(), |found| named.is_some_and(|name| found.contains(name)));
            assert!(is_right, "{settings} {accepted:?}: {found:?}");
        }
    }
}
