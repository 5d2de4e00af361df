//! The API's side: where a token may go, and what the API says of it.

pub(crate) mod challenge;
pub(crate) mod head;
pub(crate) mod injection;
pub(crate) mod origin;
pub(crate) mod repetition;
pub(crate) mod sending;
mod sharded;

pub use self::{
    challenge::{Challenge, ResponseHead},
    head::RequestHead,
    origin::Destination,
    sending::Sending,
};
