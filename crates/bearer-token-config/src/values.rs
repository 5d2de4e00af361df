//! Values of fields: how they are written, and what they must be.

mod file;
mod list;
mod path;
mod seconds;
pub(crate) mod table;
mod text;
mod value;
mod variable;

pub(crate) use self::{
    file::{can_be_read, read_file},
    list::OneOrMany,
    path::{is_path, path_in_variable, path_problem, reference_problem},
    seconds::Seconds,
    text::{Pointer, Text, text_problem},
    value::{ORIGINS, Origin, SecretField, ValueField, members},
    variable::read_variable,
};
