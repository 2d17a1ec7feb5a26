(call $open)
