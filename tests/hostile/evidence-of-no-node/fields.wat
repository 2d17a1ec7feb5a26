(data (i32.const 3100) "no-such-node")
