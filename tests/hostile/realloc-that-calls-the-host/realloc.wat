(drop (call $len (i32.const 1))) (i32.const 65536)
