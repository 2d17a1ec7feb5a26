(i32.store (i32.const 1200) (i32.const 3001)) (i32.store (i32.const 1204) (i32.const 1))
