//! A file that other programs replace, together with the last usable value that was read from it.
//!
//! | the file | there is a previous value | there is none |
//! |---|---|---|
//! | is readable, and its content is usable | the new value | the new value |
//! | is missing, half written, or of another kind | the previous value, and an event | an error |
//! | has hung for a second | the previous value, and an event | an error |
//!
//! So a running program survives a broken file, and a restart does not. The event says that the next restart would
//! fail. It is sent once for each state of the file, and not at each fetch.

use std::{path::Path, sync::Arc};

use zeroize::Zeroizing;

use super::{
    turn::Turn,
    watched::{Stamp, WatchedFile},
};
use crate::{
    error::{Error, ErrorKind, Retry},
    observe::{self, EventKind},
    sync::{Mutex, lock},
};

/// A value that is parsed from a file. While the file is missing, half written or wrong, the previous value stays in
/// use.
///
/// A clone shares the value. Everything here blocks, except [`last`](Self::last) and
/// [`has_changed`](Self::has_changed).
#[derive(Clone)]
pub(crate) struct LastGood<T>(Arc<Inner<T>>);

struct Inner<T> {
    file: WatchedFile,
    accepts_pipe: bool,
    reading: Turn,
    memory: Mutex<LastRead<T>>,
}

/// What is remembered between two readings.
struct LastRead<T> {
    /// The value that was usable last.
    last: Option<T>,
    /// The content came through a pipe, which cannot be read a second time.
    once: bool,
    /// What the last event said, and how the file looked then.
    reported: Option<(Option<Stamp>, String)>,
}

impl<T: Clone> LastGood<T> {
    /// A value in a regular file. Nothing is read yet.
    #[allow(dead_code, reason = "used with the features `jwt` and `oauth`")]
    pub(crate) fn new(path: impl AsRef<Path>) -> Self {
        Self::with(path.as_ref(), false)
    }

    /// A value in a regular file, or one that comes through a pipe once.
    #[allow(dead_code, reason = "used with the features `oauth` and `http-transport`, and by key files")]
    pub(crate) fn new_or_pipe(path: impl AsRef<Path>) -> Self {
        Self::with(path.as_ref(), true)
    }

    /// A pipe is accepted for the first reading only: `<(command)` of a shell is one. Its content cannot be read again,
    /// so the value then stays for the life of the process.
    fn with(path: &Path, accepts_pipe: bool) -> Self {
        LastGood(Arc::new(Inner {
            file: WatchedFile::new(path),
            accepts_pipe,
            reading: Turn::new(),
            memory: Mutex::new(LastRead { last: None, once: false, reported: None }),
        }))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.file.path()
    }

    /// The last value that was usable, without a look at the file.
    #[allow(dead_code, reason = "used by key files, with the feature `jwt`")]
    pub(crate) fn last(&self) -> Option<T> {
        lock(&self.0.memory).last.clone()
    }

    /// Drops the last value if it must no longer be used, such as an expired token.
    #[allow(dead_code, reason = "used with the features `jwt` and `oauth`")]
    pub(crate) fn forget_if(&self, is_over: impl FnOnce(&T) -> bool) {
        let mut memory = lock(&self.0.memory);
        if memory.last.as_ref().is_some_and(is_over) {
            memory.last = None;
        }
    }

    /// Whether the file was written since it was read last.
    pub(crate) fn has_changed(&self) -> bool {
        !lock(&self.0.memory).once && self.0.file.has_changed()
    }

    /// Reads the file and parses it. `parse` also gets the previous value, and may refuse a change of format.
    ///
    /// While another caller reads the file, this one waits, but not for longer than a second: the file system may hang.
    ///
    /// # Errors
    ///
    /// Fails only if there is no previous value: with the error of `parse`, or with one of kind
    /// [`Source`](ErrorKind::Source) if the file cannot be read. Otherwise an event reports the problem, once for each
    /// change of the file.
    pub(crate) fn read(
        &self,
        parse: impl FnOnce(Zeroizing<Vec<u8>>, Option<&T>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let Inner { file, accepts_pipe, reading, memory } = &*self.0;
        let Some(_reading) = reading.take() else { return self.while_it_hangs() };
        let last = {
            let memory = lock(memory);
            match &memory.last {
                Some(last) if memory.once => return Ok(last.clone()),
                last => last.clone(),
            }
        };
        let found = match last {
            None if *accepts_pipe => file.read_first(),
            _ => file.read().map(|bytes| (bytes, true)),
        };
        let parsed = found
            .map_err(|problem| Error::new(ErrorKind::Source, problem).with_retry(Retry::AfterChange))
            .and_then(|(bytes, again)| Ok((parse(bytes, last.as_ref())?, again)));
        match (parsed, last) {
            (Ok((value, again)), _) => {
                *lock(memory) = LastRead { last: Some(value.clone()), once: !again, reported: None };
                Ok(value)
            }
            (Err(error), Some(last)) => {
                let problem = error.to_string();
                if self.is_news(&problem) {
                    observe::tell(EventKind::FileKept { path: file.path(), problem: &problem });
                }
                Ok(last)
            }
            (Err(error), None) => Err(error),
        }
    }

    /// The previous value, because another caller has been reading the file for too long.
    fn while_it_hangs(&self) -> Result<T, Error> {
        let path = self.0.file.path();
        let problem = format!(
            "the file `{}` has been read for too long by another fetch; expected its content at once: does its file \
             system hang, or is it a pipe without a writer?",
            path.display()
        );
        let Some(last) = self.last() else { return Err(Error::new(ErrorKind::Source, problem)) };
        if self.is_news(&problem) {
            observe::tell(EventKind::FileKept { path, problem: &problem });
        }
        Ok(last)
    }

    /// Whether this problem was not reported yet for the file as it is now.
    fn is_news(&self, problem: &str) -> bool {
        let now = (self.0.file.seen(), problem.to_owned());
        let mut memory = lock(&self.0.memory);
        let is_news = memory.reported.as_ref() != Some(&now);
        memory.reported = Some(now);
        is_news
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use super::*;

    type Number = LastGood<u32>;

    #[allow(clippy::needless_pass_by_value, reason = "the parsers of the crate own their bytes")]
    fn number(bytes: Zeroizing<Vec<u8>>, last: Option<&u32>) -> Result<u32, Error> {
        let wrong = |found: &'static str| Error::new(ErrorKind::Token, found);
        let number =
            str::from_utf8(&bytes).ok().and_then(|text| text.parse().ok()).ok_or_else(|| wrong("no number"))?;
        if last.is_some_and(|last| number < *last) { Err(wrong("it became smaller")) } else { Ok(number) }
    }

    fn file(content: &str) -> (tempfile::TempDir, Number) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("number");
        fs::write(&path, content).unwrap();
        (directory, LastGood::new(path))
    }

    #[test]
    fn the_previous_value_stays_until_a_usable_one_follows() {
        let (_directory, value) = file("1");
        assert_eq!(value.read(number).unwrap(), 1);
        for content in ["", "2x", "0"] {
            fs::write(value.path(), content).unwrap();
            assert!(value.has_changed());
            assert_eq!(value.read(number).unwrap(), 1, "{content:?}");
            assert!(!value.has_changed(), "it was looked at");
        }
        fs::remove_file(value.path()).unwrap();
        assert_eq!(value.read(number).unwrap(), 1);
        fs::write(value.path(), "2").unwrap();
        assert_eq!(value.clone().read(number).unwrap(), 2);
        assert_eq!(value.last(), Some(2), "a clone shares it");
    }

    #[test]
    fn without_a_previous_value_the_problem_is_an_error() {
        let (_directory, value) = file("x");
        assert_eq!(value.read(number).unwrap_err().kind(), ErrorKind::Token);
        fs::remove_file(value.path()).unwrap();
        let error = value.read(number).unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Source, Retry::AfterChange));

        fs::write(value.path(), "5").unwrap();
        assert_eq!(value.read(number).unwrap(), 5);
        value.forget_if(|last| *last > 5);
        fs::write(value.path(), "x").unwrap();
        assert_eq!(value.read(number).unwrap(), 5);
        value.forget_if(|last| *last == 5);
        value.read(number).unwrap_err();
    }

    #[test]
    fn l24_each_change_is_reported_once() {
        let (_directory, value) = file("1");
        value.read(number).unwrap();
        let report = |content: &str| {
            fs::write(value.path(), content).unwrap();
            value.read(number).unwrap();
            let reported = lock(&value.0.memory).reported.clone();
            value.read(number).unwrap();
            assert_eq!(lock(&value.0.memory).reported, reported);
            let problem = reported.map(|(_, problem)| problem);
            problem.inspect(|problem| assert!(!value.is_news(problem)))
        };
        assert_eq!(report("x").as_deref(), Some("no number"));
        assert!(value.is_news("another problem"));
        assert_eq!(report("yy").as_deref(), Some("no number"));
        assert_eq!(report("0").as_deref(), Some("it became smaller"));
        assert_eq!(report("2"), None, "it is usable again");
        assert!(value.is_news("no number"));
    }

    #[cfg(unix)]
    #[test]
    #[allow(clippy::disallowed_methods, reason = "a pipe needs two ends, and a failure would hang")]
    fn a_pipe_is_read_once_where_accepted() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let refused = Number::new(&path).read(number).unwrap_err();
        assert!(refused.to_string().contains("found a pipe"), "{refused}");

        let value = Number::new_or_pipe(&path);
        let sender = std::thread::spawn(move || fs::write(&path, "7").unwrap());
        assert_eq!(value.read(number).unwrap(), 7);
        sender.join().unwrap();
        assert!(!value.has_changed());
        // A second reading would wait for a writer.
        let (done, ended) = std::sync::mpsc::channel();
        let again = value.clone();
        std::thread::spawn(move || done.send(again.read(number).unwrap()));
        assert_eq!(ended.recv_timeout(Duration::from_secs(10)).unwrap(), 7);
        assert!(lock(&value.0.memory).reported.is_none(), "there is no problem to report");
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "a reading that hangs, and one beside it")]
    fn while_a_reading_hangs_the_previous_value_is_used() {
        let (_directory, value) = file("1");
        let mut inner = Arc::into_inner(value.0).unwrap();
        inner.reading = Turn::with_patience(Duration::from_millis(1));
        let value = LastGood(Arc::new(inner));
        for known in [None, Some(1)] {
            let (started, start) = std::sync::mpsc::channel();
            let (release, released) = std::sync::mpsc::channel::<()>();
            let hanging = value.clone();
            let reading = std::thread::spawn(move || {
                hanging.read(|bytes, last| {
                    started.send(()).unwrap();
                    released.recv().unwrap();
                    number(bytes, last)
                })
            });
            start.recv().unwrap();
            for _ in 0..3 {
                match (value.read(number), known) {
                    (Ok(found), Some(known)) => assert_eq!(found, known),
                    (Err(error), None) => {
                        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Source, true));
                        assert!(error.to_string().contains("does its file system hang"), "{error}");
                    }
                    (found, _) => panic!("{known:?}: {found:?}"),
                }
            }
            release.send(()).unwrap();
            assert_eq!(reading.join().unwrap().unwrap(), 1);
            assert_eq!(value.read(number).unwrap(), 1, "it is read again");
        }
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "a reading that panics")]
    fn a_reading_that_panics_gives_its_turn_back() {
        let (_directory, value) = file("1");
        let panicking = value.clone();
        std::thread::spawn(move || panicking.read(|_, _| panic!("told to panic"))).join().unwrap_err();
        assert_eq!(value.read(number).unwrap(), 1);
    }
}
