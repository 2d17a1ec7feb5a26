;; It would say another number at each call, if anything of one call were left for the next.
(global.set $calls (i32.add (global.get $calls) (i32.const 1)))
(i32.store8 (i32.const 3100) (i32.add (i32.const 48) (global.get $calls)))
(i32.store (i32.const 3024) (i32.const 3100)) (i32.store (i32.const 3028) (i32.const 1))
(i32.store (i32.const 1200) (i32.const 3000)) (i32.store (i32.const 1204) (i32.const 1))
