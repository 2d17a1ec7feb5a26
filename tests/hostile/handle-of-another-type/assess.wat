(drop (call $len (local.get $past)))
