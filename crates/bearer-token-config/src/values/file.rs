//! Files that a configuration names.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

use bearer_token::Problem;
use zeroize::Zeroizing;

/// Keys and tokens are far smaller. A larger file is the wrong one.
const LIMIT: usize = 1 << 20;

/// Reads a file, which may be a pipe. The error says what is wrong with it.
pub(crate) fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let bytes = read(path).map_err(|error| unreadable(path, &error))?;
    if bytes.len() > LIMIT {
        let found = format!("the file `{}` has more than 1 MiB", path.display());
        return Err(Problem::new("", found).expecting("a key, a token or a secret"));
    }
    Ok(bytes)
}

fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    // Enough at once: a buffer that grows leaves copies of secrets behind.
    let mut bytes = Zeroizing::new(vec![0; LIMIT + 1]);
    let mut file = File::open(path)?;
    let mut length = 0;
    while length < bytes.len() {
        match file.read(&mut bytes[length..]) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Zeroizing::new(bytes[..length].to_vec()))
}

/// Checks that a regular file is there and can be opened. The error says what is wrong with it.
pub(crate) fn can_be_read(path: &Path) -> Result<(), Problem> {
    // Opening a pipe would wait for its writer.
    let opened = fs::metadata(path).and_then(|metadata| {
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "found a directory, a pipe or a device"));
        }
        File::open(path)
    });
    opened.map(drop).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &io::Error) -> Problem {
    let problem = Problem::new("", format!("the file `{}` cannot be read: {error}", path.display()));
    match error.kind() {
        io::ErrorKind::NotFound => {
            problem.expecting("a file that exists; a relative path begins beside the configuration")
        }
        _ => problem,
    }
}
