//! What the compiler says to those who put a service under the layer that is not `Clone`.

use std::{
    io::Write,
    process::{Command, Stdio},
};

/// The bound stands alone in its file, so that a test of its message needs no build of anything else.
#[test]
fn the_error_names_the_bound_and_the_remedy() {
    let program = format!(
        "#[path = {:?}] mod clone_service;
        struct OneOfAKind;
        fn layer<S: clone_service::CloneService>(_: S) {{}}
        fn main() {{ layer(OneOfAKind); }}",
        concat!(env!("CARGO_MANIFEST_DIR"), "/src/clone_service.rs"),
    );
    let mut compiler = Command::new("rustc")
        .args(["--edition=2024", "--emit=metadata", "--out-dir", env!("CARGO_TARGET_TMPDIR"), "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    compiler.stdin.take().unwrap().write_all(program.as_bytes()).unwrap();
    let output = compiler.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    for part in [
        "error[E0277]: a service under a `BearerLayer` must be `Clone`, and `OneOfAKind` is not",
        "tower::buffer::Buffer",
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(text.matches("error[").count(), 1, "{text}");
}
