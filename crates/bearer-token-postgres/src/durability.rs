//! Whether the database keeps what it acknowledges.

use bearer_token::store::Down;

/// What the application accepts although a crash of the host may lose writes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Accepted {
    pub(crate) test_server: bool,
    pub(crate) whole_pages: bool,
    /// It accepts less: commits must wait for a standby.
    pub(crate) only_with_standby: bool,
}

/// A query beside `row`, a row of `{table}` or nothing: the settings as words, and the letter for how the
/// table is kept.
///
/// Every result has it, because a pooler may use a connection with other settings each time. A partition says it for
/// itself. All names are qualified, because a function in another schema may fit the arguments better.
pub(crate) const SETTINGS: &str = "SELECT pg_catalog.concat_ws(' ', pg_catalog.current_setting('synchronous_commit'),
    pg_catalog.current_setting('fsync'), pg_catalog.current_setting('full_page_writes'),
    (SELECT relpersistence FROM pg_catalog.pg_class WHERE oid = COALESCE(row.tableoid, '{table}'::regclass)),
    pg_catalog.current_setting('synchronous_standby_names') <> '')";

/// Refuses settings with which an acknowledged write may be lost. They are the value of [`SETTINGS`].
pub(crate) fn check(settings: &str, accepted: Accepted) -> Result<(), Down> {
    let mut words = settings.split(' ');
    let [commit, fsync, full_pages, kept, standby] = [(); 5].map(|()| words.next().unwrap_or_default());
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
        "remote_write" if accepted.only_with_standby => {
            return Err(Down::new(
                "PostgreSQL acknowledges commits before a synchronous standby has flushed them, so a crash of its host may \
                 lose tokens: set `synchronous_commit` to `on` for this user or database",
            ));
        }
        _ => {}
    }
    if kept == "t" {
        return Err(Down::new(
            "the table is temporary, so no other connection has it, and it hides any other of this name: drop it",
        ));
    }
    if accepted.only_with_standby && standby != "t" {
        return Err(Down::new(
            "PostgreSQL acknowledges commits before a standby has them, so its promotion may lose tokens: set \
             `synchronous_standby_names` to the standbys that may be promoted",
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

/// All values of [`SETTINGS`] that [`check`] accepts.
pub(crate) fn accepted(accepted: Accepted) -> Vec<String> {
    let mut values = vec![String::new()];
    for words in
        [&["on ", "remote_apply ", "remote_write "][..], &["on ", "off "], &["on ", "off "], &["p ", "u "], &["t", "f"]]
    {
        values = values.iter().flat_map(|value| words.iter().map(move |word| format!("{value}{word}"))).collect();
    }
    values.retain(|value| check(value, accepted).is_ok());
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Accepted = Accepted { test_server: false, whole_pages: false, only_with_standby: false };
    const TEST_SERVER: Accepted = Accepted { test_server: true, ..NOTHING };
    const WHOLE_PAGES: Accepted = Accepted { whole_pages: true, ..NOTHING };
    const WITH_STANDBY: Accepted = Accepted { only_with_standby: true, ..TEST_SERVER };

    #[test]
    fn a_setting_that_may_lose_writes_is_named() {
        let table = [
            ("on on on p f", NOTHING, None),
            ("remote_apply on on p f", NOTHING, None),
            ("off on on p f", TEST_SERVER, Some("synchronous_commit")),
            ("local on on p t", TEST_SERVER, Some("synchronous_commit")),
            ("on off on p f", NOTHING, Some("fsync")),
            ("on off on p f", WHOLE_PAGES, Some("fsync")),
            ("on off off u f", TEST_SERVER, None),
            ("on on off p f", NOTHING, Some("full_page_writes")),
            ("on on off p f", WHOLE_PAGES, None),
            ("on on on u f", WHOLE_PAGES, Some("SET LOGGED")),
            ("on on on t f", TEST_SERVER, Some("temporary")),
            ("on on on p f", WITH_STANDBY, Some("synchronous_standby_names")),
            ("local on on p t", WITH_STANDBY, Some("synchronous_commit")),
            ("on off on p t", WITH_STANDBY, None),
            ("remote_write on on p t", WITH_STANDBY, Some("synchronous_commit")),
            ("remote_write on on p t", TEST_SERVER, None),
            ("remote_apply on on p t", WITH_STANDBY, None),
        ];
        for (settings, accepted, named) in table {
            let found = check(settings, accepted).err().map(|down| down.to_string());
            let is_right =
                found.as_ref().map_or(named.is_none(), |found| named.is_some_and(|name| found.contains(name)));
            assert!(is_right, "{settings} {accepted:?}: {found:?}");
            assert_eq!(super::accepted(accepted).iter().any(|value| value == settings), named.is_none(), "{settings}");
        }
    }
}
