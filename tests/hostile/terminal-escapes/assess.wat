(i32.store (i32.const 3024) (i32.const 3100)) (i32.store (i32.const 3028) (i32.const 27))
(i32.store (i32.const 1200) (i32.const 3000)) (i32.store (i32.const 1204) (i32.const 1))
