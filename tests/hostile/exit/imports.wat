(import "wasi:cli/exit@0.2.3" "exit" (func $exit (param i32)))
