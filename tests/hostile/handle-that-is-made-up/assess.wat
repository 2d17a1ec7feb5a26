(drop (call $len (i32.const 4711)))
