;; There are three severities.
(i32.store8 (i32.const 3008) (i32.const 9))
(i32.store (i32.const 1200) (i32.const 3000)) (i32.store (i32.const 1204) (i32.const 1))
