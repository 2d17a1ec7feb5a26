(call $session (local.get $now) (i32.const 3000))
