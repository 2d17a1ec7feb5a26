//! The loop: observe, judge, guard, act, follow up. It knows nothing of WebAssembly, of a database or of processes: what
//! it needs of them are the [`ports`].

pub mod ports;
