(call $log (i32.const 3) (i32.const 3100) (i32.const 16)) unreachable
