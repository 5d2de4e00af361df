//! The API's side: where a token may be sent, how it is sent, and how the API refuses it.

pub(crate) mod head;
pub(crate) mod injection;
pub(crate) mod origin;
pub(crate) mod refusals;
pub(crate) mod repetition;
pub(crate) mod sending;
pub(crate) mod sharded;

pub use self::{head::RequestHead, origin::Destination, refusals::ResponseHead, sending::Sending};
