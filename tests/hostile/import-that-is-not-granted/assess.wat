(call $keys (i32.const 3000))
