//! The boundary behind which the engine works on bytes that nobody vouches for.
//!
//! It upholds that no component can end the host: wasmtime's compiler and linker and the readers of components were written
//! to refuse what is wrong, yet now and then one of them panics over a file that nobody thought of. (A component of two
//! components that call each other across memories is one, in wasmtime 48.0.8, the newest that Rust 1.95 builds.) A panic
//! behind this boundary becomes a value, with the panic's own words on one line, and the caller makes a refusal of it.
//!
//! Loading a plugin, its golden cases and the reading of its interfaces go through [`contained`], which gives them a thread
//! with room for the deepest nesting that validates. A call goes through [`guarded`] on whichever thread it was made.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook};
use std::sync::Once;
use std::thread::Builder;

use crate::quoted::plain;

/// Readers of components descend into them.
const STACK: usize = 16 << 20;

/// A panic's message need not be longer to be looked for.
const LONGEST: usize = 300;

/// A panic that was kept from the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broke {
    /// The panic's words, on one line.
    pub(crate) why: String,
}

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
    static SAID: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Does the work on a thread of its own, with a deep stack.
pub(crate) fn contained<R: Send>(work: impl FnOnce() -> R + Send) -> Result<R, Broke> {
    std::thread::scope(|scope| {
        let thread = Builder::new().name("flyball-load".to_owned()).stack_size(STACK);
        let thread = thread.spawn_scoped(scope, || guarded(work));
        let thread =
            thread.map_err(|error| Broke { why: format!("the machine gives it no thread: {error}") })?;
        thread.join().unwrap_or_else(|panic| Err(Broke { why: words(&*panic) }))
    })
}

/// Does the work here.
pub(crate) fn guarded<R>(work: impl FnOnce() -> R) -> Result<R, Broke> {
    hush();
    let outer = GUARDED.replace(true);
    // Whatever the work was about is thrown away when it panics.
    let done = catch_unwind(AssertUnwindSafe(work));
    GUARDED.set(outer);
    done.map_err(|panic| {
        let why = SAID.take().unwrap_or_else(|| words(&*panic));
        // Dropping what was thrown may panic as well; it is a text in all but the strangest cases.
        std::mem::forget(panic);
        Broke { why }
    })
}

/// A panic behind the boundary is told by whoever is refused, not by lines on standard error whose words a component chose.
fn hush() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = take_hook();
        set_hook(Box::new(move |panic| {
            if GUARDED.try_with(Cell::get).unwrap_or(false) {
                let _ = SAID.try_with(|said| said.replace(Some(told(panic))));
            } else {
                usual(panic);
            }
        }));
    });
}

/// What a panic says, and at which line of which file.
fn told(panic: &PanicHookInfo<'_>) -> String {
    let words = words(panic.payload());
    match panic.location() {
        None => words,
        Some(place) => {
            let file = place.file().rsplit(['/', '\\']).next().unwrap_or_default();
            format!("{words} ({file}:{})", place.line())
        }
    }
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let words = panic.downcast_ref::<&str>().copied();
    let words = words.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let words = words.unwrap_or("it panicked without a word");
    // Where in the compiler an error came to be tells whoever reads a refusal nothing.
    plain(words.split("\nStack backtrace:").next().unwrap_or(words).trim_end(), LONGEST)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_panic_comes_back_as_its_words_on_one_line_and_the_next_work_is_done() {
        for boundary in [contained::<()> as fn(fn()) -> Result<(), Broke>, guarded] {
            let broke = boundary(|| panic!("torn\nby {}", "wolves")).unwrap_err();
            assert!(broke.why.starts_with("torn\\nby wolves (boundary.rs:"), "{broke:?}");
        }
        assert_eq!(contained(|| 7), Ok(7));
        assert_eq!(guarded(|| 7), Ok(7));
    }

    #[test]
    fn a_panic_within_a_panics_boundary_ends_the_inner_work_only() {
        let outer = guarded(|| {
            let inner = guarded(|| -> u8 { panic!("inner") });
            (inner.is_err(), GUARDED.get())
        });
        assert_eq!(outer, Ok((true, true)));
        assert!(!GUARDED.get());
    }

    #[test]
    fn work_that_descends_deep_has_room() {
        fn deep(levels: u32) -> u32 {
            let room = std::hint::black_box([0_u8; 4096]);
            if levels == 0 { u32::from(room[0]) } else { deep(levels - 1) + 1 }
        }
        assert_eq!(contained(|| deep(1_500)), Ok(1_500));
    }
}
