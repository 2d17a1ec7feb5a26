;; It asks a server that never answers, and says what became of that.
(call $send
  (i32.const 3100) (i32.const 3) (i32.const 3103) (i32.const 23)
  (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 3500))
(call $log (i32.const 3) (i32.load (i32.const 3508)) (i32.load (i32.const 3512)))
unreachable
