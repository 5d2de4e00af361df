//! Problems as one error, and the problems of an error.
//!
//! The ground between the two types. A builder collects [`Problems`] of its own, absorbs those of its parts, and
//! returns one [`Error`]. So a user sees every mistake of a nested configuration at once, each under its full path,
//! such as `client_auth.key`.

use crate::{
    error::Error,
    problem::{Problem, Problems},
};

impl Problems {
    /// Adds the problems of a part, under the part's path.
    ///
    /// An error without problems becomes one problem with its sentence, so no failure of a part is lost.
    #[allow(dead_code, reason = "used by parts that are behind features")]
    pub(crate) fn absorb(&mut self, prefix: &str, error: &Error) {
        if error.problems().is_empty() {
            self.push(prefix, error.to_string());
        }
        for problem in error.problems() {
            let path = problem.path();
            let path = if prefix.is_empty() { path.to_owned() } else { format!("{prefix}.{path}") };
            self.add(problem.clone().at(path));
        }
    }

    /// `Ok` without any problem, else one error that lists all of them.
    pub(crate) fn into_result(self, message: &'static str) -> Result<(), Error> {
        if self.is_empty() { Ok(()) } else { Err(Error::config(message, self.into_vec())) }
    }
}

impl Error {
    /// The same error with other problems.
    #[allow(dead_code, reason = "used with the feature `jwt`")]
    pub(crate) fn map_problems(self, mut change: impl FnMut(Problem) -> Problem) -> Self {
        self.map(|inner| inner.problems = inner.problems.drain(..).map(&mut change).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn one_error_lists_every_problem() {
        let mut problems = Problems::default();
        problems.add(Problem::new("key", "found nothing").expecting("a PEM"));
        problems.push("url", "found `http://`");
        let error = problems.into_result("the provider cannot be built").unwrap_err();
        assert_eq!((error.kind(), error.problems().len()), (ErrorKind::Config, 2));
        assert_eq!(
            error.to_string(),
            "the provider cannot be built: (1) key: found nothing; expected a PEM; (2) url: found `http://`"
        );
    }

    #[test]
    fn problems_of_a_part_go_under_its_path() {
        let mut problems = Problems::default();
        problems.absorb("client_auth", &Error::config("no", [Problem::new("key", "found x"), Problem::new("id", "y")]));
        problems.absorb("jwt", &Error::new(ErrorKind::Signing, "the key is gone"));
        let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(lines, ["client_auth.key: found x", "client_auth.id: y", "jwt: the key is gone"]);
    }
}
