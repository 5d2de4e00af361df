//! Which bearer goes into service after a fetch. Pure.
//!
//! | the fetch brought | the last bearer | in service |
//! |---|---|---|
//! | another token | none, expired or rejected | the new one |
//! | another token that can be kept | usable | the new one |
//! | another token that has expired already | usable | the last one |
//! | the same token, with a later end | any | the same, extended |
//! | the same token, with no later end | usable | the last one |
//! | the same token, with no later end | expired | none: an error |

use crate::{
    error::{Error, ErrorKind},
    platform::Moment,
    provider::{bearer::Bearer, schedule::Freshness},
};

/// The bearer to put into service: the fetched one, or the last one, perhaps with deadlines or headers of the fetched.
///
/// # Errors
///
/// Fails if the source returned the last token again and that one has expired.
pub(super) fn successor(
    last: Option<Bearer>,
    fetched: &Bearer,
    is_rejected: bool,
    now: Moment,
) -> Result<Bearer, Error> {
    let Some(last) = last else { return Ok(fetched.clone()) };
    let is_last_usable = is_usable(&last, now);
    if !last.same_token(fetched) {
        // A bearer that cannot be kept does not replace a usable one.
        let keeps_last = !is_rejected && is_last_usable && !is_usable(fetched, now);
        return Ok(if keeps_last { last } else { fetched.clone() });
    }
    // The generation stays, because it is the same token: a rejection of one is a rejection of the other.
    if fetched.deadlines().is_later_than(last.deadlines()) {
        return Ok(last.extended(fetched));
    }
    if !is_last_usable {
        let message = "the source gave the same token again after it had expired; expected a new one";
        return Err(Error::new(ErrorKind::Source, message));
    }
    Ok(if last.has_headers_and_record_of(fetched) { last } else { last.with_headers_and_record_of(fetched) })
}

/// Whether the bearer may be sent.
pub(super) fn is_usable(bearer: &Bearer, now: Moment) -> bool {
    bearer.deadlines().freshness(now) != Freshness::Expired
}
