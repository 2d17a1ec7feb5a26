(drop (table.grow $table (ref.null func) (i32.const 1000000)))
