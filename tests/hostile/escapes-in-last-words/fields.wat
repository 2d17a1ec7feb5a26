(data (i32.const 3100) "\1b[2J\nall is well")
