(call $drop-now (local.get $now))
