(global $left (mut i32) (i32.const 900))
