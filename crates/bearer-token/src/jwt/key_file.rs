//! A key in a file that is read again.

use std::{path::Path, sync::Arc};

use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    digest::{Digest, SHA256, digest},
};
use zeroize::Zeroizing;

use super::{algorithm::Algorithm, key::Local, reader::KeyReader};
use crate::{
    error::{Error, ErrorKind},
    events,
    sync::{Mutex, lock},
    watched_file::WatchedFile,
};

/// A key file, and the last key that was in it.
pub(super) struct KeyFile {
    file: WatchedFile,
    reader: KeyReader,
    /// What cannot be read a second time, such as a pipe.
    once: bool,
    loaded: Mutex<Loaded>,
}

struct Loaded {
    key: Arc<Local>,
    /// Of the content that it was made from: parsing an RSA key takes as long as a signature.
    digest: Digest,
}

impl KeyFile {
    /// Reads the key for the first time. Blocks.
    pub(super) fn open(path: &Path, reader: &KeyReader) -> Result<(Algorithm, Self), Error> {
        let file = WatchedFile::new(path);
        let once = !std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
        let text = file.read().map_err(|problem| Error::new(ErrorKind::Config, problem))?;
        let digest = digest(&SHA256, &text);
        let (algorithm, key) = reader.read_local(without_line_end(text))?;
        let loaded = Mutex::new(Loaded { key: Arc::new(key), digest });
        Ok((algorithm, KeyFile { file, reader: reader.pinned(algorithm), once, loaded }))
    }

    /// The last key that was read.
    pub(super) fn key(&self) -> Arc<Local> {
        lock(&self.loaded).key.clone()
    }

    /// Reads the file, and takes its key over if it is another one that can be used. Blocks.
    pub(super) fn read_again(&self) -> Arc<Local> {
        if !self.once
            && let Err(problem) = self.take_over()
        {
            events::kept(self.file.path(), &problem);
        }
        self.key()
    }

    /// Whether the file was written since it was read last.
    pub(super) fn changed(&self) -> bool {
        !self.once && self.file.changed()
    }

    fn take_over(&self) -> Result<(), String> {
        let text = self.file.read()?;
        let digest = digest(&SHA256, &text);
        if verify_slices_are_equal(digest.as_ref(), lock(&self.loaded).digest.as_ref()).is_ok() {
            return Ok(());
        }
        let (_, key) = self.reader.read_local(without_line_end(text)).map_err(|error| error.to_string())?;
        *lock(&self.loaded) = Loaded { key: Arc::new(key), digest };
        Ok(())
    }
}

/// Editors and `echo` end a file with a line end; no secret does.
fn without_line_end(mut text: Zeroizing<Vec<u8>>) -> Zeroizing<Vec<u8>> {
    if text.ends_with(b"\n") {
        text.pop();
        if text.ends_with(b"\r") {
            text.pop();
        }
    }
    text
}
