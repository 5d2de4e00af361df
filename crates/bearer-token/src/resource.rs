//! The API's side: where a token may go, and what the API says of it.

pub(crate) mod challenge;
pub(crate) mod origin;

pub use self::{
    challenge::{Challenge, is_grpc_rejection, is_rejection},
    origin::Destination,
};
