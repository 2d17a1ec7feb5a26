;; One finding whose message is all of a memory of 100 MB.
(drop (memory.grow (i32.const 1700)))
(i32.store (i32.const 3024) (i32.const 65536)) (i32.store (i32.const 3028) (i32.const 104857600))
(i32.store (i32.const 1200) (i32.const 3000)) (i32.store (i32.const 1204) (i32.const 1))
