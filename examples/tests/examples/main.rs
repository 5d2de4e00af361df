//! Tests of the example `box`.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

use std::{ffi::OsString, process::ExitCode};

mod server_in_a_box;

/// The output and exit status of a program.
struct Ended {
    status: ExitCode,
    out: String,
    err: String,
}

impl Ended {
    fn all(&self) -> String {
        format!("{}{}", self.out, self.err)
    }

    #[track_caller]
    fn assert_status(&self, status: u8) {
        assert!(self.status == ExitCode::from(status), "{:?}, expected {status}:\n{}", self.status, self.all());
    }
}

fn arguments(line: &[&str]) -> Vec<OsString> {
    line.iter().map(OsString::from).collect()
}
