(drop (call $deep (i32.const 0)))
