//! What the examples `call` and `box` do; `examples/call.rs` and `examples/box.rs` only start it.
//!
//! The example `quickstart` stands by itself, in `examples/quickstart`.

pub mod call;
pub mod server_in_a_box;
