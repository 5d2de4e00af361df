//! Values of fields: how they are written, and what they must be.

mod file;
mod list;
mod seconds;
mod secret;
pub(crate) mod table;
mod text;

pub(crate) use self::{
    file::{can_be_read, read_file},
    list::OneOrMany,
    seconds::Seconds,
    secret::{Given, SecretField, path_in_variable},
    text::Text,
};
