(i32.store8 (i32.const 3100) (i32.const 0xff))
(i32.store (i32.const 3000) (i32.const 3100)) (i32.store (i32.const 3004) (i32.const 1))
(i32.store (i32.const 1200) (i32.const 3000)) (i32.store (i32.const 1204) (i32.const 1))
