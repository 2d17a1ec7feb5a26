//! A path as a message shows it: a name of a file may hold a line feed or what colours a terminal, and whoever can put a file
//! into a directory could write lines of his own into the host's log with it.

use std::path::Path;

use flyball_model::printable;

/// The path on one line, with each hidden character written out.
pub(crate) fn printed(path: &Path) -> String {
    printable(&path.display().to_string()).into_owned()
}
