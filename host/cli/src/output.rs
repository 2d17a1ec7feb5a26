//! Standard output, without styles where it is no terminal. Whoever reads it may have seen enough, like `head`: then there is
//! nobody to tell the rest to, and the program ends without a word, as Unix tools do.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write};
use std::process::exit;

/// What a shell sees of a program that was ended by SIGPIPE: it is not known how it would have ended.
const CUT_OFF: i32 = 141;

/// Prints, as `print!` does.
macro_rules! out {
    ($($text:tt)*) => { $crate::output::write(format_args!($($text)*)) };
}

/// Prints a line, as `println!` does.
macro_rules! outln {
    () => { $crate::output::write(format_args!("\n")) };
    ($($text:tt)*) => { $crate::output::write(format_args!("{}\n", format_args!($($text)*))) };
}

pub(crate) use {out, outln};

pub(crate) fn write(text: Arguments<'_>) {
    match anstream::stdout().lock().write_fmt(text) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => exit(CUT_OFF),
        Err(error) => {
            eprintln!("flyball: cannot write to standard output: {error}");
            exit(1);
        }
    }
}
