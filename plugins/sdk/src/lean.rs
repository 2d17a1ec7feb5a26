//! What `std` would have brought, for a guest that lives for one call: an allocator that never frees, and a panic
//! that says why. Without `std` the guest imports no WASI at all and touches few pages, which is what a fresh
//! instance costs.
#![allow(unsafe_code, reason = "an allocator is unsafe by its nature")]

use core::alloc::{GlobalAlloc, Layout};
use core::arch::wasm32;
use core::cell::Cell;

const PAGE: usize = 65_536;

/// Hands out the initial memory from the heap's base on, then grows it. Nothing is freed but the newest block, so
/// that a vector that grows alone does so in place.
struct Bump {
    next: Cell<usize>,
    end: Cell<usize>,
}

// SAFETY: a component's instance has one thread.
unsafe impl Sync for Bump {}

unsafe extern "C" {
    /// Set by the linker: where the stack and the data end.
    static __heap_base: u8;
}

impl Bump {
    fn take(&self, size: usize, align: usize) -> Option<usize> {
        if self.next.get() == 0 {
            self.next.set((&raw const __heap_base).addr());
            self.end.set(wasm32::memory_size::<0>().checked_mul(PAGE)?);
        }
        let start = self.next.get().checked_next_multiple_of(align)?;
        let next = start.checked_add(size)?;
        self.reach(next)?;
        self.next.set(next);
        Some(start)
    }

    fn reach(&self, wanted: usize) -> Option<()> {
        let Some(missing) = wanted.checked_sub(self.end.get()) else { return Some(()) };
        let pages = missing.div_ceil(PAGE);
        if pages > 0 {
            if wasm32::memory_grow::<0>(pages) == usize::MAX {
                return None;
            }
            self.end.set(self.end.get() + pages * PAGE);
        }
        Some(())
    }
}

// SAFETY: each block lies between the heap's base and the memory's end, aligned, and is handed out once.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.take(layout.size(), layout.align())
            .map_or(core::ptr::null_mut(), core::ptr::with_exposed_provenance_mut)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if block.addr() + layout.size() == self.next.get() {
            self.next.set(block.addr());
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let start = block.addr();
        if start + layout.size() == self.next.get() {
            return match start.checked_add(size).and_then(|next| self.reach(next).map(|()| next)) {
                Some(next) => {
                    self.next.set(next);
                    block
                }
                None => core::ptr::null_mut(),
            };
        }
        if size <= layout.size() {
            return block;
        }
        let Some(moved) = self.take(size, layout.align()) else { return core::ptr::null_mut() };
        let moved: *mut u8 = core::ptr::with_exposed_provenance_mut(moved);
        // SAFETY: both blocks are ours, and the new one is behind the old one.
        unsafe { core::ptr::copy_nonoverlapping(block, moved, layout.size()) };
        moved
    }
}

// Comparing memory is the C library's, which comes with the target; the linker takes that one function from it.
#[link(name = "c")]
unsafe extern "C" {}

#[global_allocator]
static HEAP: Bump = Bump { next: Cell::new(0), end: Cell::new(0) };

/// The host asks for memory with this, to put arguments and answers into.
#[unsafe(no_mangle)]
unsafe extern "C" fn cabi_realloc(old: *mut u8, old_size: usize, align: usize, size: usize) -> *mut u8 {
    if size == 0 {
        return core::ptr::without_provenance_mut(align);
    }
    // SAFETY: the host calls by the canonical ABI: `align` is a power of two, `old` was given with `old_size`.
    let block = unsafe {
        if old_size == 0 {
            HEAP.alloc(Layout::from_size_align_unchecked(size, align))
        } else {
            HEAP.realloc(old, Layout::from_size_align_unchecked(old_size, align), size)
        }
    };
    if block.is_null() { wasm32::unreachable() } else { block }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    crate::panicked(info);
    wasm32::unreachable()
}
