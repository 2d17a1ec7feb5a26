;; As many as it gets, each of which would be one of the host's files; then it says what became of the last: 1 is a socket.
(loop $again
  (call $create (i32.const 0) (i32.const 3500))
  (global.set $left (i32.sub (global.get $left) (i32.const 1)))
  (br_if $again (global.get $left)))
(i32.store8 (i32.const 3100) (i32.add (i32.const 49) (i32.load8_u (i32.const 3500))))
(i32.store (i32.const 3024) (i32.const 3100)) (i32.store (i32.const 3028) (i32.const 1))
(i32.store (i32.const 1200) (i32.const 3000)) (i32.store (i32.const 1204) (i32.const 1))
