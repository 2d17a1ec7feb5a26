(global $sleep-of-now (mut i32) (i32.const 0))
