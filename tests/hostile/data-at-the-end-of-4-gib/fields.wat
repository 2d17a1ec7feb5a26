(data (i32.const 0xfffffff0) "the end")
