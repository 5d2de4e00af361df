//! Where the secrets of a configuration are read.

use std::{
    fmt::Display,
    fs,
    path::{Path, PathBuf},
};

use bearer_token::{Advice, Encoding, Problem, Value, secret};
use zeroize::Zeroizing;

use super::{Context, plain_reference};
use crate::{
    given::Given,
    report::error_at,
    values::{Origin, SecretField, ValueField, can_be_read, is_path, path_problem, read_file, read_variable},
};

impl Context<'_> {
    /// A secret that is a string, as it is now. Stray characters around it are removed or named, whatever its origin
    /// (L49).
    pub(in crate::sections) fn secret(&mut self, path: &str, field: &SecretField) -> Option<Zeroizing<String>> {
        let read = |cx: &mut Self| {
            if field.steps.is_encoding_only() && field.steps.encoding() == Encoding::Text {
                let bytes = cx.found(path, field)?;
                let text = secret::read(&bytes)
                    .map_err(|error| Problem::new(path, cx.placed(field, error_at(path, &error).message())))?;
                return Ok(Zeroizing::new(text.to_owned()));
            }
            // What is encoded or a part is meant as it is.
            cx.check_for_path(path, field)?;
            cx.read_now(path, field, Value::read_now)
        };
        let text = read(self);
        self.reported(text)
    }

    /// The content of a key as it is now, and how the reader of keys is to decode it.
    pub(in crate::sections) fn key(
        &mut self,
        path: &str,
        field: &SecretField,
    ) -> Result<(Zeroizing<Vec<u8>>, Encoding), Problem> {
        let encoding = field.steps.encoding();
        if field.steps.is_encoding_only() {
            return Ok((self.found(path, field)?, encoding));
        }
        self.check_for_path(path, field)?;
        let bytes = self.read_now(path, field, Value::read_bytes_now)?;
        Ok((bytes, if encoding == Encoding::Text { encoding } else { Encoding::Binary }))
    }

    /// The bytes at the field's origin as they are now, before any step.
    fn found(&mut self, path: &str, field: &SecretField) -> Result<Zeroizing<Vec<u8>>, Problem> {
        self.check_for_path(path, field)?;
        let bytes = match &field.origin {
            Origin::Plain(text) | Origin::Value(text) => Zeroizing::new(text.as_bytes().to_vec()),
            Origin::File(file) => {
                let file = self.directory.join(file);
                self.check_for_pipe(&file).and_then(|()| read_file(&file)).map_err(|problem| problem.at(path))?
            }
            Origin::Env(name) => read_variable(path, name)?,
            Origin::Variable(name) => Zeroizing::new(self.variable(&format!("{path}.variable"), name)?.into_bytes()),
            Origin::Source(_) | Origin::Unclear(_) => self.read_now(path, field, Value::read_bytes_now)?,
        };
        if bytes.is_empty() {
            return Err(Problem::new(path, self.placed(field, "found an empty secret"))
                .expecting("the secret itself")
                .advise(Advice::text("look at what sets it: an empty file or variable counts as set")));
        }
        Ok(bytes)
    }

    /// A clause about what was found, with the file or the variable that it was in.
    fn placed(&self, field: &SecretField, found: impl Display) -> String {
        let place = match &field.origin {
            Origin::File(file) => format!("the file `{}`", self.directory.join(file).display()),
            Origin::Env(name) => format!("the environment variable `{name}`"),
            _ => return found.to_string(),
        };
        format!("{place}: {found}")
    }

    /// Refuses a file that can be read only once, if each set of variables would read it.
    pub(in crate::sections) fn check_for_pipe(&self, file: &Path) -> Result<(), Problem> {
        let is_regular = || fs::metadata(file).is_ok_and(|metadata| metadata.is_file());
        if !matches!(self.given, Given::Rehearsal) || !file.exists() || is_regular() {
            return Ok(());
        }
        let problem = Problem::new("", format!("found a pipe, a device or a directory `{}`", file.display()));
        Err(problem.expecting("a file that each key of a keyed configuration can read"))
    }

    /// Refuses a plain string that is probably a path or a reference to a variable, not the secret itself.
    fn check_for_path(&self, path: &str, field: &SecretField) -> Result<(), Problem> {
        if let Some(problem) = plain_reference(field, "secret") {
            return Err(problem.at(path));
        }
        match &field.origin {
            Origin::Plain(text) if secret::looks_like_path(text.trim_ascii()) || is_path(self.directory, text) => {
                Err(path_problem(path))
            }
            _ => Ok(()),
        }
    }

    /// A secret that is read again for each token request.
    pub(in crate::sections) fn secret_value(&mut self, path: &str, field: &SecretField) -> Option<Value> {
        let checked = self.check_for_path(path, field);
        self.reported(checked)?;
        self.value(path, field)
    }

    /// A secret that may have several lines, as it is now.
    pub(in crate::sections) fn lines(&mut self, path: &str, field: &SecretField) -> Option<Zeroizing<String>> {
        let bytes = self.key(path, field).and_then(|(bytes, _)| {
            let text = std::str::from_utf8(&bytes).map(|text| Zeroizing::new(text.to_owned()));
            text.map_err(|_| Problem::new(path, self.placed(field, "found bytes that are not UTF-8")))
        });
        self.reported(bytes)
    }

    /// The file whose whole content is the secret, if there is one. It may come later.
    pub(in crate::sections) fn file_of(&self, field: &ValueField) -> Option<PathBuf> {
        match &field.origin {
            Origin::File(file) if field.steps.is_encoding_only() && field.steps.encoding() == Encoding::Text => {
                Some(self.directory.join(file))
            }
            _ => None,
        }
    }

    /// The file whose whole content is the secret, if there is one and it can be read.
    pub(in crate::sections) fn whole_file(&self, field: &ValueField) -> Option<PathBuf> {
        match &field.origin {
            Origin::File(file) if field.steps.is_encoding_only() => {
                Some(self.directory.join(file)).filter(|file| can_be_read(file).is_ok())
            }
            _ => None,
        }
    }
}
