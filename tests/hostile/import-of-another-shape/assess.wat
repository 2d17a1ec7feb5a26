(call $random (i32.const 0) (i32.const 0) (i32.const 3000))
