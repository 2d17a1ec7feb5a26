;; value: NaN, limit: infinity
(i32.store8 (i32.const 3224) (i32.const 1)) (f64.store (i32.const 3232) (f64.const nan))
(i32.store8 (i32.const 3240) (i32.const 1)) (f64.store (i32.const 3248) (f64.const inf))
(i32.store (i32.const 3032) (i32.const 3200)) (i32.store (i32.const 3036) (i32.const 1))
(i32.store (i32.const 1200) (i32.const 3000)) (i32.store (i32.const 1204) (i32.const 1))
