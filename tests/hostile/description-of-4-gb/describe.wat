(i32.store (i32.const 1052) (i32.const -1)) (i32.const 1024)
