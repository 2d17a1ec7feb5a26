(data (i32.const 3100) "\1b[2J\1b]0;owned\07\r\nall is well")
