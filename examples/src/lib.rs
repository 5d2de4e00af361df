//! The example `box`, which `examples/box.rs` starts. The command's tests use it too.
//!
//! The example `quickstart` is separate, in `examples/quickstart`.

pub mod server_in_a_box;
