(import "wasi:random/random@0.2.3" "get-random-u64" (func $random (param i32 i32 i32)))
