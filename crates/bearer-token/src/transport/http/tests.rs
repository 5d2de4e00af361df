//! Against servers on loopback.

use std::{error::Error as _, fmt::Write as _, time::Duration};

use super::*;

mod causes;
mod exchange;
mod flood;
mod rotation;
mod server;
mod settings;
mod tls;

/// Everything that an error shows, its sources included.
fn shown(error: &Error) -> String {
    let mut shown = format!("{error} {error:?} {error:#?}");
    let mut next = error.source();
    while let Some(error) = next {
        write!(shown, " {error} {error:?}").unwrap();
        next = error.source();
    }
    shown
}
