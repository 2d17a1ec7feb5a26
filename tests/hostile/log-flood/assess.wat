(loop $again (call $log (i32.const 1) (i32.const 2048) (i32.const 8)) (br $again))
