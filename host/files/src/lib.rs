//! Files from outside: the one way in which a file is read whole, and the one way in which a private file is opened.
//!
//! A path that a person, a policy or a manifest names may lead to a FIFO that nobody writes, to a device without an end,
//! to a file of the kernel that has no size, to a directory, or to a file of many gigabytes. None of these may hang the
//! program or fill its memory. So a file is looked at before it is opened, opened without blocking, looked at again once
//! it is open (it may have been replaced in between), and read up to a limit and no further.
//!
//! Upheld here: reading never waits for another program, never takes more memory than its limit and a byte, follows links
//! only as their owner could have named the target, and each refusal names the path, the cause and the next step.
//!
//! Called by everything that reads a document, a plugin, a key, a signature or a secret; and by what writes files that
//! only their user may read, as dead letters and keys.

mod error;
mod private;
mod reading;

pub use error::FileError;
pub use private::{create_private, open_private};
pub use reading::{Limit, read, read_text, text};
