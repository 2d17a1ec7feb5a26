;; It asks a server that never answers, again and again.
(loop $again
  (call $send
    (i32.const 3100) (i32.const 3) (i32.const 3103) (i32.const 23)
    (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 3500))
  (br $again))
