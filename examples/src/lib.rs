//! Examples of bearer-token; run one with `cargo run --example NAME`.
