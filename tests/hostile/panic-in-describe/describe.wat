(call $log (i32.const 3) (i32.const 2448) (i32.const 12)) unreachable
