//! Fields that JSON has more than once. `serde_json` alone would keep the last of several, silently.

use std::{collections::BTreeSet, fmt};

use bearer_token::{Advice, Problem};
use serde::{
    Deserializer,
    de::{DeserializeSeed, MapAccess, SeqAccess, Visitor},
};

/// The problems of a document that is valid otherwise, one for each repeated field.
pub(crate) fn repeated_fields(text: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    let whole = Walk { path: String::new(), problems: &mut problems };
    // Where it ends early, serde_json's own reading has failed at the same place.
    let _ = whole.deserialize(&mut serde_json::Deserializer::from_str(text));
    problems
}

/// A walk through the value at a path. It keeps no values.
struct Walk<'a> {
    path: String,
    problems: &'a mut Vec<Problem>,
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        for index in 0_usize.. {
            let path = format!("{}[{index}]", self.path);
            if list.next_element_seed(Walk { path, problems: self.problems })?.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut names = BTreeSet::new();
        while let Some(name) = map.next_key::<String>()? {
            let path = if self.path.is_empty() { name.clone() } else { format!("{}.{name}", self.path) };
            if !names.insert(name) {
                let problem = Problem::new(path.clone(), "found the field more than once").expecting("it once");
                self.problems.push(problem.advise(Advice::text("remove all but one")));
            }
            map.next_value_seed(Walk { path, problems: self.problems })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_every_kind_are_no_problem() {
        let text = r#"{"a": null, "b": [true, -1, 18446744073709551615, 1.5, "x\n", {}, []], "c": {"a": {"a": 1}}}"#;
        for text in [text, "1", "\"text\"", "[{\"a\": 1}, {\"a\": 1}]"] {
            assert_eq!(repeated_fields(text), [], "{text}");
        }
    }

    #[test]
    fn a_repeated_field_is_named_with_its_path() {
        let problems = repeated_fields(r#"{"a": {"b": "planted"}, "c": [1, {"d": 1, "d": 2}], "a": {"b": 1, "b": 2}}"#);
        let paths: Vec<_> = problems.iter().map(Problem::path).collect();
        assert_eq!(paths, ["c[1].d", "a", "a.b"]);
        assert!(problems.iter().all(|problem| !problem.to_string().contains("planted")));
    }
}
