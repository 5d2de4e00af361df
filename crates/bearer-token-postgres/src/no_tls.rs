//! A build without the feature `tls`.

use bearer_token::Error;
use tokio_postgres::Config;

use crate::{PostgresStore, store::unusable};

pub(crate) fn store(_: Config) -> Result<PostgresStore, Error> {
    Err(unusable(
        "found `sslmode=require`, and no TLS was compiled in; expected the feature `tls` of bearer-token-postgres, or \
         `PostgresStore::new` with a TLS library",
    ))
}
