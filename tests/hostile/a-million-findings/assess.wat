;; Of 40 bytes each, where memory holds zeros.
(drop (memory.grow (i32.const 700)))
(i32.store (i32.const 1200) (i32.const 131072)) (i32.store (i32.const 1204) (i32.const 1000000))
