(call $drop-now (local.get $now)) (call $drop-past (local.get $past)) (drop (call $len (local.get $now))) (i32.const 1200)
