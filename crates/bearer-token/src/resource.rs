//! The API's side: where a token may be sent, how it is sent, and how the API refuses it.
//!
//! | part | answers | asked |
//! |---|---|---|
//! | [`origin`] | what is an origin, and are two the same? | for each request that is not spelled as usual |
//! | [`origins`] | may the token go there? | for each request, before anything is fetched |
//! | [`sending`] | in which header, with which scheme and which other headers? | when a provider is built |
//! | [`injection`] | how do they get into the head of a request? | for each request |
//! | `sharded` | how do many threads do that at once? | for each request |
//! | [`refusals`] | does this response refuse the token? | for each response |
//! | [`head`] | what may a selector see of a request? | for each request of keyed providers |
//! | [`repetition`] | does this text repeat the token? | before an origin is shown |
//!
//! Nothing here waits, and nothing here knows of time: whether a bearer is fresh, and what a refusal means for it, is
//! the provider's business.
//!
//! # The order of a request
//!
//! 1. The origin is judged. A request that gets no token costs no fetch.
//! 2. A header that the caller set wins.
//! 3. The credential is inserted, with its value marked sensitive.
//! 4. The response is judged: by its status and its challenges, never by its body.

pub(crate) mod head;
pub(crate) mod injection;
pub(crate) mod origin;
pub(crate) mod origins;
pub(crate) mod refusals;
pub(crate) mod repetition;
pub(crate) mod sending;
pub(crate) mod sharded;

pub use self::{head::RequestHead, origin::Destination, refusals::ResponseHead, sending::Sending};
