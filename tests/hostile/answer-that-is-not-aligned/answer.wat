(call $drop-now (local.get $now)) (call $drop-past (local.get $past)) (i32.const 1201)
