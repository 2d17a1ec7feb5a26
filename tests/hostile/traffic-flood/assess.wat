(loop $again (call $log (i32.const 1) (i32.const 0) (i32.const 60000)) (br $again))
