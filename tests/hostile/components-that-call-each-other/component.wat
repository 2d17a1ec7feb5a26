;; Two components, each with a memory of its own, pass a text: the adapter between them has two memories, which this
;; engine is not set up for, and wasmtime 48.0.8 panics where it compiles it.
(component
  (component $speaker
    (core module $m
      (memory (export "memory") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0))
      (func (export "say") (param i32 i32)))
    (core instance $i (instantiate $m))
    (func (export "say") (param "text" string)
      (canon lift (core func $i "say") (memory (core memory $i "memory")) (realloc (core func $i "realloc")) string-encoding=utf16)))
  (component $writer
    (import "say" (func $say (param "text" string)))
    (core module $store
      (memory (export "memory") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0)))
    (core instance $store (instantiate $store))
    (core func $lowered
      (canon lower (func $say) (memory (core memory $store "memory")) (realloc (core func $store "realloc"))))
    (core module $m
      (import "" "say" (func $say (param i32 i32)))
      (func (export "run") (call $say (i32.const 0) (i32.const 5))))
    (core instance $i (instantiate $m (with "" (instance (export "say" (func $lowered))))))
    (func (export "run") (canon lift (core func $i "run"))))
  (instance $speaker (instantiate $speaker))
  (instance $writer (instantiate $writer (with "say" (func $speaker "say"))))
  (export "run" (func $writer "run")))
