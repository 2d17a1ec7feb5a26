(data (i32.const 3100) "GEThttp://127.0.0.1:$PORT/")
