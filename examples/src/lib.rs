//! The examples `call` and `box`, which `examples/call.rs` and `examples/box.rs` start.
//!
//! The example `quickstart` is separate, in `examples/quickstart`.

pub mod call;
pub mod server_in_a_box;
